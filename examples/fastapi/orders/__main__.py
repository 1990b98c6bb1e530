"""`python -m orders`: the service under uvicorn."""

import sys

from pydantic import ValidationError
from uvicorn import Server

from . import log
from .app import create_app
from .proof import server_config
from .settings import Settings


def main() -> None:
    """Runs until it is stopped. Settings that cannot be used end it at once, and no value of them is printed."""
    try:
        settings = Settings()
    except ValidationError as error:
        for one in error.errors(include_input=False, include_context=False):
            place = ".".join(["ORDERS_" + str(part).upper() for part in one["loc"]]) or "settings"
            print(f"orders: {place}: {one['msg']}", file=sys.stderr)
        sys.exit(2)
    log.configure()
    Server(server_config(create_app(settings), settings)).run()


if __name__ == "__main__":
    main()
