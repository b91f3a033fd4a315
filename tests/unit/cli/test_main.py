import pytest

from tuning_operator.cli.exits import BAD_INPUT, EXIT_CODES
from tuning_operator.cli.main import main, parser


def test_the_exit_codes_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["run", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        assert EXIT_CODES.splitlines()[0] in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_a_number_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["run", "x.yaml", f"--parallel={value}"])
    assert ended.value.code == BAD_INPUT
    assert f"'{value}' is no whole number of 1 or more" in capsys.readouterr().err


def test_without_a_verb_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == BAD_INPUT
    assert "run a study on this machine" in capsys.readouterr().out
