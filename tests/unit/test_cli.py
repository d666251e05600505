"""How a job ends: its exit code and its last line."""

from __future__ import annotations

import pytest

from turbine_health.cli import job_parser, refuse_beside, run_job
from turbine_health.errors import SettingsError


def test_a_job_that_is_done_ends_with_its_summary_and_0(capsys):
    assert run_job("ingest", lambda argv: "3 rows", []) == 0
    assert capsys.readouterr().out == "ingest: 3 rows\n"


def test_what_the_user_can_mend_is_one_line_and_2(capsys):
    def main(argv):
        raise SettingsError("no such file", where="x.yaml", hint="give an existing YAML file")

    assert run_job("ingest", main, []) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "ingest: x.yaml: no such file — give an existing YAML file\n"


def test_a_bug_of_ours_keeps_its_traceback():
    def main(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_job("ingest", main, [])


@pytest.mark.parametrize("shadowed", [False, True])
def test_an_interrupted_job_ends_with_one_line_and_130(capsys, shadowed):
    def main(argv):
        try:
            raise KeyboardInterrupt
        finally:
            if shadowed:
                raise ConnectionRefusedError("Spark was interrupted too and cannot be stopped any more")

    assert run_job("ingest", main, []) == 130
    captured = capsys.readouterr()
    assert captured.err == "ingest: interrupted; what was written is whole, and the next run goes on\n"


def test_every_job_takes_a_settings_file_and_any_number_of_replacements():
    args = job_parser("ingest", "Take in logs.").parse_args(["--config", "a.yaml", "--set", "a.b=1", "--set", "c.d=2"])
    assert (args.config, args.set) == ("a.yaml", ["a.b=1", "c.d=2"])


def test_an_unknown_flag_is_the_user_s_to_mend(capsys):
    with pytest.raises(SystemExit) as caught:
        job_parser("ingest", "Take in logs.").parse_args(["--confg", "a.yaml"])
    assert caught.value.code == 2
    assert "--confg" in capsys.readouterr().err


@pytest.mark.parametrize("given", [[], ["--from", "2024-01-01", "--config", "a.yaml", "--set", "a.b=1", "--quiet"]])
def test_a_flag_goes_with_those_that_it_heeds(given):
    parser = continuing_parser()
    assert refuse_beside(parser, parser.parse_args(["--on", *given]), "on", "from").on


def test_a_flag_is_refused_beside_those_that_it_would_ignore(capsys):
    parser = continuing_parser()
    with pytest.raises(SystemExit) as caught:
        refuse_beside(parser, parser.parse_args(["--on", "--to", "2024-01-01", "--some-version", "3"]), "on", "from")
    assert caught.value.code == 2
    assert "--on does not go with --some-version and --to" in capsys.readouterr().err
    without = parser.parse_args(["--to", "2024-01-01"])
    assert refuse_beside(parser, without, "on", "from") is without


def continuing_parser():
    parser = job_parser("watch", "Go on.")
    parser.add_argument("--on", action="store_true")
    for name in ("--from", "--to", "--some-version"):
        parser.add_argument(name)
    return parser
