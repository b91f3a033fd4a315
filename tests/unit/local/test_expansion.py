import pytest

from tuning_operator.local.expansion import expand, expand_environment

KNOWN = {"LR": "0.1", "NAME": "digits", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("--lr=$(LR)", "--lr=0.1", id="a known name is replaced"),
        pytest.param("$(NAME)-$(LR)", "digits-0.1", id="every reference is replaced"),
        pytest.param("$(EMPTY)|", "|", id="an empty value replaces too"),
        pytest.param("$(OTHER)", "$(OTHER)", id="an unknown name stays as it is written"),
        pytest.param("$$(LR)", "$(LR)", id="two dollars are one, and no reference"),
        pytest.param("$$$(LR)", "$0.1", id="an escaped dollar before a reference"),
        pytest.param("$$$$(LR)", "$$(LR)", id="four dollars are two"),
        pytest.param("$LR ${LR}", "$LR ${LR}", id="what a shell expands is left to the shell"),
        pytest.param("$(LR", "$(LR", id="an unclosed reference stays"),
        pytest.param("cost: 5$", "cost: 5$", id="a dollar at the end stays"),
        pytest.param("$()", "$()", id="an empty name is no name"),
        pytest.param("$($(LR))", "$($(LR))", id="references do not nest"),
    ],
)
def test_references_expand_as_the_kubelet_does(text: str, want: str) -> None:
    assert expand(text, KNOWN) == want


def test_environment_values_see_those_before_them_only() -> None:
    given = [("A", "$(LR)"), ("B", "$(A)/$(C)"), ("C", "c"), ("A", "again $(A)")]
    assert expand_environment(given, KNOWN) == {"A": "again 0.1", "B": "0.1/$(C)", "C": "c"}
