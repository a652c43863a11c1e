"""``cmbench tasks new`` as a user types it, from the folder to a task that a run takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from cmbench.benchmark.commands.tasks import tasks_app
from cmbench.errors import UsageError
from cmbench.tasks.choice import get_task

Fieldwork = Callable[..., Path]


def run(*words: object) -> Result:
    """Run a command; errors meant for people come out as they are."""
    result = CliRunner().invoke(tasks_app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def fieldwork(tmp_path: Path) -> Fieldwork:
    """Makes 40 recordings and a Turkish table, as Excel saves it, in which some files are not there."""

    def make(lacking: int = 0) -> Path:
        folder = tmp_path / "Derleme"
        (folder / "ses").mkdir(parents=True)
        lines = ["Dosya;Makam;Albüm;Yıl"]
        for i in range(40):
            if i >= lacking:
                soundfile.write(folder / "ses" / f"Kayıt {i}.wav", np.random.default_rng(i).normal(0, 0.1, 800), 8000)
            lines.append(f"C:\\ses\\Kayıt {i}.wav;{('Hicâz', 'Uşşak')[i % 2]};kaset {i // 4};{1950 + i}")
        (folder / "liste.csv").write_bytes("\r\n".join(lines).encode("cp1254"))
        return folder

    return make


def test_one_command_makes_a_task(fieldwork: Fieldwork) -> None:
    folder = fieldwork(lacking=1)
    shown = run("new", folder, "--tradition", "turkish")
    assert shown.exit_code == 0
    for said in ("the recording: 39 of 40 found", "1 × recordings that are not there", "liste.csv:2", "makam--Hicâz",
                 "10 of them", f"cmbench run --model mfcc,chroma --tasks {folder}"):  # fmt: skip
        assert said in shown.output, said
    task = get_task(str(folder))
    assert (task.name, task.tradition, sum(task.counts.values())) == ("derleme", "turkish", 39)


def test_a_dry_run_writes_nothing(fieldwork: Fieldwork) -> None:
    folder = fieldwork()
    assert "Next, without --dry-run and then: cmbench run" in run("new", folder, "--dry-run").output
    assert not (folder / "task.yaml").exists()


def test_many_lost_rows_are_not_left_out_unasked(fieldwork: Fieldwork) -> None:
    folder = fieldwork(lacking=30)
    with pytest.raises(UsageError, match=r"30 of 40 rows cannot be used; nothing was written.*--leave-out"):
        run("new", folder)
    assert not (folder / "task.yaml").exists()


def test_no_more_than_twenty_of_a_kind_are_listed(fieldwork: Fieldwork) -> None:
    result = CliRunner().invoke(tasks_app, ["new", str(fieldwork(lacking=30))])
    assert "30 × recordings that are not there" in result.output
    assert result.output.count("Kayıt") == 20 + 1
    assert "… and 10 more" in result.output


def test_what_is_not_used_is_accounted_for(fieldwork: Fieldwork) -> None:
    folder = fieldwork(lacking=1)
    soundfile.write(folder / "ses" / "fazla.wav", np.zeros(800), 8000)
    lines = (folder / "liste.csv").read_text(encoding="cp1254")
    (folder / "liste.csv").write_text(lines.replace(";1950", f";{'uzun ' * 20}"), encoding="cp1254")
    shown = " ".join(run("new", folder).output.split())
    assert "used 39 of 40 rows (without 1 × recordings that are not there); 39 of 40 recordings (1 in no row" in shown
    assert "uzun uzun uzun uzun uzun uzun uzun uzun…" in shown


def test_a_second_time_says_what_is_there(fieldwork: Fieldwork) -> None:
    folder = fieldwork()
    run("new", folder)
    before = (folder / "task.yaml").read_bytes()
    again = run("new", folder).output
    assert f"{folder} has this very task already; nothing was written.\nNext: cmbench run" in again
    with pytest.raises(UsageError, match=rf"{folder} has another task already, derleme \(40 recordings, 2 labels\)"):
        run("new", folder, "--group", "none")
    assert (folder / "task.yaml").read_bytes() == before
    assert "Written" in run("new", folder, "--group", "none", "--force").output


def test_one_mistake_in_many_rows_is_told_once(fieldwork: Fieldwork) -> None:
    folder = fieldwork()
    lines = (folder / "liste.csv").read_text(encoding="cp1254").splitlines()
    splits = ["split", *("trin" if i in (3, 9, 12) else ("train", "dev", "test")[i % 3] for i in range(1, 41))]
    written = "\n".join(f"{line};{split}" for line, split in zip(lines, splits, strict=True))
    (folder / "liste.csv").write_text(written, encoding="cp1254")
    assert "liste.csv:4: 'trin' (so in 3, up to liste.csv:13)" in run("new", folder).output


def test_columns_may_be_named_with_commas(fieldwork: Fieldwork) -> None:
    shown = run("new", fieldwork(), "--labels", "Makam", "--group", "none", "--dry-run")
    assert "--group COLUMN" in shown.output


def test_the_command_line_says_what_it_is_about() -> None:
    assert "mirdata:NAME" in run("new", "--help").output
