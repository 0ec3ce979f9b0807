"""`dbtasks` and `python -m dbtasks`: interrupted at any line, the exit code is 130."""

INTERRUPTED = 130


def main() -> None:
    """Run `dbtasks`."""
    try:
        from dbtasks.tasks.program import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    main()
