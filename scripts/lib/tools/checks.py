"""Findings, said as they are made and remembered for the exit code."""


class Checks:
    def __init__(self) -> None:
        self.failed: list[str] = []

    def that(self, holds: bool, claim: str) -> None:
        """Say the claim, with its figures, and whether it holds."""
        print(f"  {'ok ' if holds else 'NOT'}  {claim}", flush=True)
        if not holds:
            self.failed.append(claim)

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0
