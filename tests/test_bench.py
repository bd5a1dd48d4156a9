"""The parts of scripts/bench, each on next to nothing, so that they still work when they are needed."""

import io
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import imagehash
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "lib"))

import bench
from bench import (
    dataset,
    dedup,
    downloaders,
    everything,
    growth,
    latency,
    plots,
    read,
    report,
    tables,
    workspace,
)
from bench.composites import Composites
from bench.downloaders import Assignment
from bench.measure import Run, command, compare
from bench.peers import MissingPeer, PythonPeer, those_there, tool
from bench.photos import Photos
from bench.results import Findings, Record, Table
from bench.scale import ScaledJob
from pictures import encode, photo
from tools.children import Child
from tools.driver import CommandFailed
from tools.memory import MemoryWatch
from tools.server import Page, serve

MEMORY = ("peak MB", "parent MB", "worker MB")
BODY = encode(photo(1))
FAST, SLOW = Run(10, 2.0, 0.5, 30.0), Run(10, 4.0, 1.0, 20.0, 5.0, 15.0)


@pytest.fixture
def table() -> Table:
    return Table("a case", "image", {"first": [FAST, FAST], "runner": [SLOW, FAST]}, 1e6)


def test_commands_are_measured_in_turn_and_looked_at_afterwards(tmp_path):
    order = []
    contenders = [
        command(
            name, ["touch", tmp_path / name], 5, lambda: order.append("-"), lambda n=name: order.append(n)
        )
        for name in "ab"
    ]
    runs = compare(contenders, 2)
    assert order == ["-", "a", "-", "b", "-", "a", "-", "b"]
    assert [len(runs[name]) for name in "ab"] == [2, 2]
    assert all(run.count == 5 and run.seconds > 0 for several in runs.values() for run in several)


def test_a_command_that_fails_ends_the_benchmark_in_its_own_words(tmp_path):
    with pytest.raises(CommandFailed, match="No such file"):
        command("ls", ["ls", tmp_path / "nothing"], 1).run()


def test_memory_is_that_of_the_whole_tree():
    code = "held = bytearray(40 << 20); print('ready', flush=True); input()"
    shell = ["sh", "-c", f'{sys.executable} -c "{code}"; true']
    with Child(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.process.stdout.readline() == b"ready\n"
        with MemoryWatch(child) as memory:
            pass
        child.process.communicate(b"\n")
    assert memory.peak.together > memory.peak.worker > 40 > memory.peak.parent


def test_photographs_are_made_once_and_come_round_again(tmp_path):
    photos = Photos.ensure(tmp_path, 2)
    first = {file: file.stat().st_mtime_ns for file in photos.folder.iterdir()}
    assert Photos.ensure(tmp_path, 2) == photos
    assert {file: file.stat().st_mtime_ns for file in photos.folder.iterdir()} == first
    assert 50_000 < photos.size(2) < 100_000
    assert len({*photos.urls("http://a", 5)}) == 5
    assert len({*photos.bodies(5)}) == 5


def test_composites_differ_and_every_tenth_is_a_copy(tmp_path):
    bodies = [*Composites.ensure(tmp_path, 5).bodies(20)]
    hashes = [imagehash.phash(Image.open(io.BytesIO(body))) for body in bodies]
    assert len({*bodies}) == 20
    assert hashes[9] == hashes[4]
    assert hashes[19] == hashes[14]
    assert len({str(each) for each in hashes}) == 18


def test_a_dataset_goes_through_every_pass(tmp_path):
    job = Composites.ensure(tmp_path, 2).fill_job(tmp_path / "job", 10)
    ours = dataset.Ours(job, 10, workers=1)
    runs = compare([ours.hash()], 1) | compare([ours.reduce()], 1)
    assert runs[ours.name][0].outcomes["kept"] == 4
    (exported,) = compare([ours.export()], 1)[ours.name]
    assert exported.count == 10
    assert len([*tmp_path.glob("out/*/*.jpg")]) == 4


def test_a_disk_without_room_is_told_before_it_is_filled(tmp_path):
    with pytest.raises(CommandFailed, match=r"This takes 1000000000.0 GB .* has room for"):
        workspace.check_room(tmp_path, 1e9, 1)


def test_a_workspace_is_gone_afterwards(tmp_path):
    with workspace.workspace(tmp_path / "work") as work:
        for number in range(3):
            (work / "out" / str(number)).mkdir(parents=True)
            (work / "out" / str(number) / "file").touch()
        (work / "link").symlink_to(tmp_path)
    assert not work.exists()
    assert tmp_path.exists()


def test_a_missing_tool_is_left_out_and_named(capsys):
    with pytest.raises(MissingPeer, match="apt install no-such-tool"):
        tool("no-such-tool")
    assert those_there([lambda: command(tool("no-such-tool"), [], 1)]) == []
    assert "Left out: no-such-tool is not installed" in capsys.readouterr().out


def test_a_tool_of_pypi_is_installed_once(tmp_path):
    peer = PythonPeer("peer", "1")
    environment = tmp_path / "peers" / "peer-1"
    environment.mkdir(parents=True)
    (environment / "made").touch()
    assert peer.python(tmp_path) == environment / "bin" / "python"


def test_downloads_are_counted_and_removed(tmp_path):
    pages = {f"/{k}.jpg": Page(BODY) for k in range(16)}
    with serve(pages) as site:
        task = Assignment([site.url + path for path in pages], tmp_path / "out", len(pages))
        contenders = [
            downloaders.bare_loop(task),
            downloaders.stored_nowhere(task),
            downloaders.runner(task, "curl", "--workers", "1"),
            downloaders.original(task),
        ]
        runs = compare(contenders, 1)
    assert [len(several) for several in runs.values()] == [1, 1, 1, 1]
    assert not task.folder.exists()


def test_a_download_that_misses_an_image_is_no_result(tmp_path):
    with serve({"/a.jpg": Page(BODY)}) as site:
        task = Assignment([f"{site.url}/a.jpg", f"{site.url}/gone.jpg"], tmp_path / "out", 2)
        with pytest.raises(CommandFailed, match="stored 1 of 2"):
            downloaders.original(task).run()


def test_latency_measures_both_loops(tmp_path):
    asked = Namespace(delays=[1], connections=[4], seconds=0.01, rounds=1)
    (found,) = latency.run(asked, tmp_path).tables
    assert found.title == "1 ms, 4 connections"
    assert [run.count for runs in found.runs.values() for run in runs] == [40, 40]
    assert found.runs["runner"][0].outcomes == {"done": 40}


def test_every_store_gives_every_image(tmp_path):
    photos = Photos.ensure(tmp_path, 2)
    runs = [
        read.reader(store, path, 3, order, cached=False).run()
        for store, path in read.make_stores(tmp_path / "read", photos, 3).items()
        for order in ("in-order", "at-random")
    ]
    assert len(runs) == 2 * len(read.STORES)
    assert {run.outcomes["bytes"] for run in runs} == {sum(map(len, photos.bodies(3)))}


def test_dedup_tells_what_it_kept(tmp_path):
    (found,) = dedup.run(Namespace(hashes=[2000], radius=4, rounds=1, alone=True), tmp_path).tables
    (run,) = found.runs["runner, 2,000"]
    assert 1400 <= run.outcomes["kept"] < 2000
    assert run.outcomes["kept"] + run.outcomes["duplicates"] <= 2000


def test_a_job_at_scale_is_as_a_download_leaves_it(tmp_path):
    job = ScaledJob(tmp_path / "work" / "job", "http://localhost", BODY, 30)
    measured = dict(job.measured(download=False, export=False))
    assert list(measured) == ["start", "status", "resume", "hash", "dedup"]
    assert measured["resume"]().count == 30
    job.remove()


def test_a_record_comes_back_as_it_was_saved(tmp_path, table):
    record = Record.of("download", ["--urls", "10"], 0.1, Findings([table], {"more": 1}))
    record.save(tmp_path / "new" / "download.json")
    assert Record.load(tmp_path / "new" / "download.json") == record
    assert record.command == "scripts/bench download --urls 10"


def test_tables_tell_medians_spread_and_ratios(table):
    lines = tables.text(tables.plain(table)).splitlines()
    assert re.split(r" {2,}", lines[0]) == ["a case", "images/s", "MB/s", "CPU us/image", *MEMORY, "ratio"]
    assert lines[2].split() == ["runner", "4", "(2-5)", "4", "75,000", "25", "2", "8", "0.75", "(0.50-1.00)"]
    assert tables.markdown(tables.plain(table)).splitlines()[1] == "|---|---:|---:|---:|---:|---:|---:|---:|"


def test_tables_of_the_same_contenders_become_one(table):
    assert tables.markdown(tables.by_case([table, table])).splitlines() == [
        "|  | first, images/s | runner, images/s | runner / first |",
        "|---|---:|---:|---:|",
        "| a case | 5 | 4 | 0.75 (0.50-1.00) |",
        "| a case | 5 | 4 | 0.75 (0.50-1.00) |",
    ]


def test_who_is_ahead_of_runner_is_said(table):
    assert tables.ahead(table) == "quicker: first; less processor time: first"
    assert tables.ahead(Table("", "image", {"runner": [FAST], "other": [SLOW]})) == ""
    assert tables.ahead(Table("", "image", {"bare loop": [FAST], "runner": [SLOW]})) == ""


def taken(count: int, seconds: float, megabytes: float = 10.0) -> list[Run]:
    return [Run(count, seconds, seconds / 2, 0.0, megabytes, 2 * megabytes)]


def test_sizes_become_columns_and_a_growth():
    start = {"1": taken(1, 1.0), "10": taken(10, 1.0), "20": taken(20, 3.0), "100": taken(100, 12.0)}
    quick = {"1": taken(1, 1.0), "10": taken(10, 1.0), "20": taken(20, 1.1), "100": taken(100, 12.0)}
    short = {"1": taken(1, 1.0), "10": taken(10, 2.0), "100": taken(100, 22.0)}
    found = [Table(name, "URL", runs) for name, runs in {"a": start, "b": quick, "c": short}.items()]
    assert growth.costs(found)[:2] == [
        ["wall / CPU", "to start", "10", "20", "100", "growth", "of further ones"],
        [
            "a",
            "1.00 / 0.50 s",
            "100,000.0 / 50,000.0 us",
            "150,000.0 / 75,000.0 us",
            "120,000.0 / 60,000.0 us",
            "1.20",
            "0.56",
        ],
    ]
    assert [row[-2:] for row in growth.costs(found)[2:]] == [["1.20", "start prevails"], ["1.10", ""]]


def test_one_size_has_no_growth():
    (_, row) = growth.costs([Table("start", "URL", {"10": taken(10, 1.0)})])
    assert row == ["start", "", "100,000.0 / 50,000.0 us", "", ""]


def test_memory_is_held_against_its_limits():
    found = [
        Table("start", "URL", {"1": taken(1, 1.0), "10": taken(10, 1.0, 60.0)}),
        Table("hash", "URL", {"1": taken(1, 1.0), "10": taken(10, 1.0, 60.5)}),
        Table("dedup", "URL", {"10": [Run(10, 1.0, 1.0, 999.0)]}),
    ]
    assert growth.memory(found)[1:] == [
        ["start", "10 / 20", "60 / 120", "150 / 120", "within"],
        ["hash", "10 / 20", "60 / 121", "150 / 120", "over"],
        ["dedup", "", "999 / 0", "1,000 / 120", "within"],
    ]


def test_a_curve_is_carried_on():
    few, many = Run(100, 1.0, 60.0, 1_000.0), Run(1_000, 1.0, 600.0, 10_000.0)
    assert growth.extrapolated(Table("", "hash", {"a": [few], "b": [many]}), 2_000) == (
        "Processor time grows as the 1.00th power of the number, memory by 10000000 bytes for each. "
        "By this curve 2,000 take 20 minutes and 20 GB."
    )


def test_the_page_is_written_from_the_results(tmp_path, table):
    docs, results = tmp_path / "docs", tmp_path / "results"
    docs.mkdir()
    begin, end = report.begin("download"), "<!-- end of download -->"
    page = docs / report.PAGE
    page.write_text(f"Before\n\n{begin}\nold\n{end}\n\nAfter\n")
    for question in ("download", "memory"):
        Record.of(question, [], 0.1, Findings([table])).save(results / f"{question}.json")
    report.run(results, docs)
    written = page.read_text()
    assert "old" not in written
    assert "`scripts/bench download` · 2 rounds" in written
    assert tables.markdown(tables.plain(table)) in written
    assert written.startswith("Before\n")
    assert written.endswith("\nAfter\n")
    assert sorted(file.name for file in (docs / "benchmarks").iterdir()) == ["download.json", "download.png"]
    report.run(None, docs)
    assert page.read_text() == written


@pytest.mark.parametrize("draw", [plots.bars, plots.grouped])
def test_plots_are_small(tmp_path, table, draw):
    draw([table, table], tmp_path / "plot.png")
    assert 1_000 < (tmp_path / "plot.png").stat().st_size < 60_000


def test_lines_have_sizes_along_the_bottom(tmp_path):
    plots.lines([Table("start", "URL", {"1,000": [FAST], "20,000": [SLOW]})], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("size", everything.SIZES)
def test_all_asks_only_what_can_be_asked(size):
    for question, arguments in everything.SIZES[size].items():
        assert bench.parser().parse_args([question, *arguments]).question == question
