"""What the operator sets: environment variables `ORDERS_…`, secrets as files."""

from pathlib import Path
from typing import Literal, Self

from pydantic import HttpUrl, PositiveFloat, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_BYTES = 32


class Settings(BaseSettings):
    """The settings. Whatever cannot be used stops the service at its start."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8000

    # How the service knows that a request came through the filter. There is no default and no "none".
    proof: Literal["secret", "mtls"]

    # proof=secret: Envoy sends the file's content in `secret_header`. The old one stays valid while it is rotated.
    secret_file: Path | None = None
    old_secret_file: Path | None = None
    secret_header: str = "x-proxy-secret"

    # proof=mtls: TLS here, and a client certificate of that authority with one of these names (SAN: DNS or URI).
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    client_authority: Path | None = None
    client_names: frozenset[str] = frozenset()

    # Optional: verify the forwarded token here too (`claims.forward: true` in the filter's config).
    jwks_url: HttpUrl | None = None
    jwks_seconds: PositiveFloat = 60
    jwks_pause_seconds: PositiveFloat = 10
    token_header: str = "x-edge-claims"
    token_issuer: str = "https://edge.example.com"
    token_audience: str = "mesh.example.com"
    token_type: str = "edge-claims+jwt"

    @model_validator(mode="after")
    def complete(self) -> Self:
        """Each proof needs all its parts."""
        if self.proof == "secret":
            if self.secret_file is None:
                raise ValueError("ORDERS_PROOF=secret needs ORDERS_SECRET_FILE")
        else:
            parts = (self.tls_certificate, self.tls_key, self.client_authority)
            if None in parts or not self.client_names:
                raise ValueError(
                    "ORDERS_PROOF=mtls needs ORDERS_TLS_CERTIFICATE, ORDERS_TLS_KEY, "
                    "ORDERS_CLIENT_AUTHORITY and ORDERS_CLIENT_NAMES"
                )
        self.secrets()
        return self

    def secrets(self) -> tuple[SecretStr, ...]:
        """The secrets that are valid now."""
        files = (self.secret_file, self.old_secret_file)
        return tuple(_secret(file) for file in files if file is not None)


def _secret(file: Path) -> SecretStr:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read: {type(error).__name__}") from None
    if len(text) < SECRET_BYTES:
        raise ValueError(f"{file}: a secret has at least {SECRET_BYTES} characters")
    return SecretStr(text)
