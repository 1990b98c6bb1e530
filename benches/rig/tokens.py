"""The bench's tokens: minted once by PyJWT, which `scripts/setup tokens` installed, and kept for some hours."""

import json
import subprocess
import time
from pathlib import Path

ALGORITHMS = ["ES256", "RS256", "EdDSA", "HS256"]
ISSUER = "https://edge.example.com"
AUDIENCE = "mesh.example.com"
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


def tool(name):
    """Where `scripts/setup` installed a tool."""
    script = Path(__file__).resolve().parents[2] / "scripts/setup"
    asked = subprocess.run([script, "path", name], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def mint(directory, count):
    """Tokens for this run, `count` different ones per algorithm; those of an earlier run if young."""
    done = directory / "complete.json"
    if done.exists():
        state = json.loads(done.read_text())
        if state["count"] >= count and time.time() - state["minted"] < MAX_AGE:
            return Tokens(directory)
        done.unlink()
    directory.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("mint.py")
    subprocess.run([tool("python"), script, directory, str(count)], check=True)
    done.write_text(json.dumps({"count": count, "minted": time.time()}))
    return Tokens(directory)
