"""The journal keeps what was acknowledged, says what is wrong with the rest, and overwrites nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dynamometer.domain.event import Claimed, Closed, Done, Event, Failed, Opened, Started
from dynamometer.domain.failure import Failure
from dynamometer.errors import DamageError, DiskFull, NotFoundError, PreconditionError
from dynamometer.store import files, journal
from dynamometer.store.journal import JournalWriter

OPENED = Opened(campaign_id="c", name="ä \u2028 name", source="f.yaml", config_hash="h", runs=3, version="0")
EVENTS: list[Event] = [
    OPENED,
    Claimed(pid=1, process_start=2.5, host="h", remaining=3),
    Started(run="a-c1", attempt=1),
    Done(run="a-c1", attempt=1, record="runs/a-c1/attempt-1/record.json", record_sha256="0" * 64, duration_s=1.5),
    Started(run="b-c1", attempt=1),
    Failed(run="b-c1", attempt=1, failure=Failure(kind="runtime", message="no\nluck"), duration_s=0.5),
    Closed(state="failed"),
]


def write(path: Path, events: list[Event] = EVENTS) -> None:
    with JournalWriter(path) as writer:
        for event in events:
            writer.append(event)


def test_what_was_appended_reads_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, EVENTS[:3])
    write(path, EVENTS[3:])
    found = journal.read(path)
    assert [stamped.body for stamped in found.events] == EVENTS
    assert [stamped.seq for stamped in found.events] == list(range(7))
    assert found.torn is None
    assert found.status().tally() == {"completed": 1, "failed": 1, "pending": 1}


def test_a_journal_cut_at_any_byte_reads_as_a_beginning_of_itself_and_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "journal.jsonl"
    write(whole)
    data = whole.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == 10]
    for length in range(len(data)):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(data[:length])
        kept = sum(end <= length for end in ends)
        found = journal.read(path)
        assert [stamped.body for stamped in found.events] == EVENTS[:kept]
        assert (found.torn is None) == (length in (0, *ends))
        with JournalWriter(path) as writer:
            writer.append(EVENTS[0])
        assert [stamped.body for stamped in journal.read(path).events] == [*EVENTS[:kept], EVENTS[0]]


def test_a_flipped_bit_anywhere_before_the_end_is_damage_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path)
    data = path.read_bytes()
    last = data.rstrip(b"\n").rfind(b"\n")
    for place in range(0, last, 7):
        changed = bytearray(data)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(DamageError) as raised:
            journal.read(path)
        line = data[:place].count(b"\n") + 1
        assert f"journal.jsonl:{line}:" in raised.value.message or f"journal.jsonl:{line + 1}:" in raised.value.message
        assert path.read_bytes() == bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[1], lines[1], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b"failed", b"fAiled", 1)],
        lambda lines: [b"hello\n", *lines],
        lambda lines: [*lines[:3], b"\n", *lines[3:]],
    ],
    ids=["lost", "doubled", "swapped", "altered last", "foreign", "empty"],
)
def test_lost_doubled_swapped_and_altered_lines_are_damage(damage: object, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path)
    assert callable(damage)
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    before = path.read_bytes()
    with pytest.raises(DamageError, match=r"journal.jsonl:\d+: the journal is damaged here"):
        JournalWriter(path)
    assert path.read_bytes() == before


def test_a_block_of_zeros_at_the_end_is_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path)
    with path.open("ab") as file:
        file.write(b"\0" * 512)
    found = journal.read(path)
    assert found.torn is not None
    assert found.torn.line == len(EVENTS) + 1


def test_no_journal_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        journal.read(tmp_path / "journal.jsonl")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_failing_disk_is_a_clean_error_and_tears_nothing(
    number: int, call: str, nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    real = getattr(os, call)
    calls = 0

    def failing(descriptor: int, *arguments: bytes) -> object:
        nonlocal calls
        calls += 1
        if calls == nth:
            if call == "write":
                real(descriptor, bytes(arguments[0])[:5])
            raise OSError(number, os.strerror(number))
        return real(descriptor, *arguments)

    with JournalWriter(path) as writer:
        monkeypatch.setattr(os, call, failing)
        for event in EVENTS[: nth - 1]:
            writer.append(event)
        with pytest.raises(PreconditionError) as raised:
            writer.append(EVENTS[nth - 1])
        monkeypatch.undo()
        kept = [stamped.body for stamped in journal.read(path).events]
        assert kept == EVENTS[: nth - 1]
        assert ("disk is full" in raised.value.message) == (number == errno.ENOSPC)
        writer.append(EVENTS[nth - 1])
    assert [stamped.body for stamped in journal.read(path).events] == EVENTS[:nth]


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    write(tmp_path / "journal.jsonl")
    monkeypatch.undo()
    assert len(journal.read(tmp_path / "journal.jsonl").events) == len(EVENTS)


def test_a_listener_that_fails_is_switched_off_and_fails_nothing(tmp_path: Path) -> None:
    heard: list[int] = []

    def bad(_: object) -> None:
        heard.append(-1)
        raise RuntimeError("no")

    with JournalWriter(tmp_path / "journal.jsonl") as writer:
        writer.listen(bad)
        writer.listen(lambda stamped: heard.append(stamped.seq))
        writer.append(EVENTS[0])
        writer.append(EVENTS[1])
    assert heard == [-1, 0, 1]


def test_a_clock_that_steps_back_changes_nothing_but_the_text(tmp_path: Path) -> None:
    times = iter([datetime(2030, 1, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC)])
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, now=lambda: next(times)) as writer:
        writer.append(EVENTS[0])
        writer.append(EVENTS[1])
    assert [stamped.at[:4] for stamped in journal.read(path).events] == ["2030", "1999"]
    assert journal.read(path).status().state == "running"


def test_write_whole_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_whole(path, "old")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PreconditionError, match="bad disk"):
        files.write_whole(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_whole_leaves_nothing_behind_when_a_signal_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def as_nobody(code: str) -> subprocess.CompletedProcess[str]:
    """Run it as whoever may not do everything: another user when we are root, who may not read our packages."""
    begin = "import os\nfrom pathlib import Path\nfrom dynamometer.store.files import make_folder, write_whole\n"
    argv = [sys.executable, "-c", f"{begin}os.geteuid() or os.seteuid(65534)\n{code}"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_that_is_there_needs_no_look_at_the_one_above_it() -> None:
    """Not in ``tmp_path``: that can only be searched by who runs the tests."""
    with TemporaryDirectory() as made:
        above, folder = Path(made), Path(made) / "mine"
        folder.mkdir()
        folder.chmod(0o777)
        above.chmod(0o711 if os.geteuid() == 0 else 0o300)
        code = f"""
make_folder(Path({str(folder)!r}))
make_folder(Path({str(folder / "a" / "b")!r}))
write_whole(Path({str(folder / "file")!r}), "text")
"""
        done = as_nobody(code)
        above.chmod(0o700)
        assert done.returncode == 0, done.stderr
        assert (folder / "file").read_text() == "text"
        assert (folder / "a" / "b").is_dir()


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_must_be_new_is_refused_only_when_it_is_there(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    if there:
        folder.mkdir()
        with pytest.raises(FileExistsError):
            files.make_folder(folder, exclusive=True)
    else:
        files.make_folder(folder, exclusive=True)
    assert folder.is_dir()


def test_a_full_disk_is_told_without_a_word_of_campaigns(tmp_path: Path) -> None:
    told = files.storage_problem(OSError(errno.ENOSPC, "full"), tmp_path)
    assert (type(told), told.hint) == (DiskFull, "free some space")
