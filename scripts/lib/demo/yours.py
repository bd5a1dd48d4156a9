"""The demo with a list of the user's own: no server, no kill."""

import subprocess
from pathlib import Path

from tools.driver import RUNNER, command_line, tell, to_paste
from tools.narrative import say, show_command


def run(folder: Path, urls: Path) -> int:
    job, out = folder / "job", folder / "export"
    if (job / "job.json").exists():
        say(f"Going on with the job in {tell(job)}. (Remove {tell(folder)} to begin anew with {tell(urls)}.)")
        code = _in_the_foreground("resume", job)
    else:
        say(f"Downloading what {tell(urls)} lists. Ctrl-C stops it, and nothing that has arrived is lost.")
        code = _in_the_foreground("start", job, urls)
    if code:
        if job.exists():
            say(f"It stopped before the end. To go on:  {to_paste('resume', job)}")
        return code
    say("The second pass: what is in each image, which are the same, and out with the good ones.")
    code = _in_the_foreground("export", job, out)
    if code:
        say(f"It stopped before the end. To go on:  {to_paste('export', job, out)}")
        return code
    _in_the_foreground("status", job)
    say(f"The pictures are in {tell(out)}; where each comes from is in its metadata.jsonl.")
    say(f"What became of each URL:  {to_paste('ls', job)}")
    return 0


def _in_the_foreground(*arguments: str | Path) -> int:
    """Run a command that shares our terminal: Ctrl-C is for it to answer, ours is to wait."""
    show_command(command_line(*arguments))
    with subprocess.Popen([*RUNNER, *arguments]) as runner:
        while True:
            try:
                return runner.wait()
            except KeyboardInterrupt:
                continue
