"""The bench's tokens: minted once, kept for some hours, by PyJWT in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ALGORITHMS = ["ES256", "RS256", "EdDSA", "HS256"]
ISSUER = "https://edge.example.com"
AUDIENCE = "mesh.example.com"
PYJWT = "2.15.1"
CRYPTOGRAPHY = "50.0.2"
MAX_AGE = 12 * 3600  # seconds; mint.py lets tokens live for 48 h


class Tokens:
    """The files that mint.py wrote."""

    def __init__(self, directory):
        self.directory = directory

    def jwks(self, algorithm):
        """The key set, as a tree."""
        return json.loads((self.directory / f"{algorithm}.jwks.json").read_text())

    def warm(self, algorithm):
        """One good session token."""
        return (self.directory / f"{algorithm}.warm.txt").read_text().strip()

    def nobody(self, algorithm):
        """A good token whose roles admit to nothing."""
        return (self.directory / f"{algorithm}.nobody.txt").read_text().strip()

    def cold_file(self, algorithm):
        """The file of per-request tokens."""
        return self.directory / f"{algorithm}.cold.txt"


def cache_home():
    """Where tools are kept, keyed by version."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-claims"


def venv(name, packages):
    """The Python environment of that name, made if it is not there."""
    directory = cache_home() / name
    done = directory / ".complete"
    if not done.exists():
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([directory / "bin/pip", "install", "--quiet", *packages], check=True)
        done.touch()
    return directory


def mint(directory, count):
    """Tokens for this run, `count` different ones per algorithm; those of an earlier run if young."""
    done = directory / "complete.json"
    if done.exists():
        state = json.loads(done.read_text())
        if state["count"] >= count and time.time() - state["minted"] < MAX_AGE:
            return Tokens(directory)
        done.unlink()
    directory.mkdir(parents=True, exist_ok=True)
    python = venv(f"pyjwt-{PYJWT}", [f"PyJWT=={PYJWT}", f"cryptography=={CRYPTOGRAPHY}"]) / "bin/python3"
    script = Path(__file__).with_name("mint.py")
    subprocess.run([python, script, directory, str(count)], check=True)
    done.write_text(json.dumps({"count": count, "minted": time.time()}))
    return Tokens(directory)
