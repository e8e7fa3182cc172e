"""The command line: ``python -m fastpool`` and the ``fastpool`` script."""

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from .cli import app  # noqa: PLC0415  (typer and rich are an extra)
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(f"The command line needs {error.name}; install it with: pip install 'fastpool[cli]'")
    app(prog_name="fastpool")


if __name__ == "__main__":
    main()
