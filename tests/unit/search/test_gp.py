"""The Gaussian process, against scikit-learn's and against plain integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tests.unit.core.builders import a_spec
from tuning_operator.search.expected_improvement import log_distribution, log_expected_improvement
from tuning_operator.search.gp_regression import JITTER, Fit, Posterior, fitted, loss
from tuning_operator.search.lbfgs import minimise
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Observation, Suggestion

RNG = np.random.default_rng(3)
X = RNG.random((25, 3))
Y = np.sin(5 * X[:, 0]) + X[:, 1] ** 2 + 0.05 * RNG.normal(size=25)
GROUPS = np.array([0, 1, 2], np.intp)
FIT = Fit(weights=np.array([4.0, 1.0, 0.25]), scale=1.7, noise=0.02)


def reference(fit: Fit) -> GaussianProcessRegressor:
    lengths = 1 / np.sqrt(fit.weights)
    kernel = ConstantKernel(fit.scale) * Matern(lengths, nu=2.5) + WhiteKernel(fit.noise)
    return GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=None).fit(X, Y)


def test_the_posterior_is_scikit_learns() -> None:
    points = np.random.default_rng(4).random((40, 3))
    mean, variance = Posterior(X, GROUPS, Y, FIT)(points)
    wanted, deviation = reference(FIT).predict(points, return_std=True)
    assert np.allclose(mean, wanted, atol=1e-8)
    # Theirs is of a value with its noise, ours of the function.
    assert np.allclose(variance, deviation**2 - FIT.noise, atol=1e-8)


def test_the_likelihood_is_scikit_learns() -> None:
    model = reference(FIT)
    objective = loss(X, GROUPS, Y)
    theta = np.log([*FIT.weights, FIT.scale, FIT.noise])
    other = np.log([1.0, 1.0, 1.0, 1.0, 0.1])
    change = objective(theta)[0] - objective(other)[0]
    same = reference(Fit(np.ones(3), 1.0, 0.1))
    priors = _prior_part(theta) - _prior_part(other)
    wanted = same.log_marginal_likelihood_value_ - model.log_marginal_likelihood_value_
    assert change - priors == pytest.approx(wanted, abs=1e-6)


def _prior_part(theta: np.ndarray) -> float:
    from tuning_operator.search.gp_regression import _prior

    mean, deviation = _prior(3)
    return float(0.5 * (((theta - mean) / deviation) ** 2).sum())


def test_the_gradient_is_that_of_differences() -> None:
    objective = loss(X, GROUPS, Y)
    for seed in range(5):
        theta = np.random.default_rng(seed).normal(size=5)
        gradient = objective(theta)[1]
        found = optimize.approx_fprime(theta, lambda at: objective(at)[0], 1e-6)
        assert np.allclose(gradient, found, rtol=1e-3, atol=1e-3)


def test_a_fit_is_as_good_as_scipys() -> None:
    objective = loss(X, GROUPS, Y)
    fit = fitted(X, GROUPS, Y)
    ours = objective(np.log([*fit.weights, fit.scale, fit.noise]))[0]
    starts = [np.full(5, -1.0), np.array([-2.0, -2.0, -2.0, 0.0, -5.0]), np.zeros(5)]
    theirs = min(optimize.minimize(objective, start, jac=True, method="L-BFGS-B").fun for start in starts)
    assert ours <= theirs + 1e-2


def test_features_that_matter_get_the_short_lengths() -> None:
    fit = fitted(X, GROUPS, Y)
    assert fit.weights[0] > fit.weights[2]
    assert fit.weights[1] > fit.weights[2]


def test_lbfgs_finds_the_bottom_of_rosenbrocks_valley() -> None:
    at, value = minimise(
        lambda x: (float(optimize.rosen(x)), optimize.rosen_der(x)), np.array([-1.2, 1.0, 0.5]), bound=5, steps=300
    )
    assert np.allclose(at, 1.0, atol=1e-2)
    assert value < 1e-4


def test_lbfgs_stays_within_its_bounds() -> None:
    at, _ = minimise(lambda x: (float(((x - 9) ** 2).sum()), 2 * (x - 9)), np.zeros(2), bound=3)
    assert np.allclose(at, 3.0)


@pytest.mark.parametrize("best", [-30.0, -5.0, -1.0, 0.0, 0.5, 3.0])
def test_the_expected_improvement_is_its_integral(best: float) -> None:
    mean, deviation = 0.3, 0.7
    z = (best - mean) / deviation
    found = float(log_expected_improvement(np.array([mean]), np.array([deviation**2]), best)[0])
    if z > -8:
        area, _ = integrate.quad(
            lambda y: (best - y) * stats.norm.pdf(y, mean, deviation), mean - 12 * deviation, best, epsabs=0, limit=200
        )
        assert found == pytest.approx(math.log(area), rel=1e-6)
    else:  # the first terms of its series far out
        series = stats.norm.logpdf(z) - 2 * math.log(-z) + math.log1p(-3 / z**2 + 15 / z**4)
        assert found == pytest.approx(series + math.log(deviation), rel=1e-6)


@pytest.mark.parametrize("z", [-200.0, -30.0, -3.0, 0.0, 2.0, 10.0])
def test_the_logarithm_of_the_distribution_is_scipys(z: float) -> None:
    assert log_distribution(np.array([z]))[0] == pytest.approx(stats.norm.logcdf(z), rel=1e-9, abs=1e-15)


def test_it_finds_a_minimum_that_random_search_would_not() -> None:
    spec = a_spec(
        objectives=[{"metric": "loss", "goal": "Minimize"}],
        parameters=[{"name": "x", "float": {"min": 0, "max": 1}}, {"name": "y", "float": {"min": 0, "max": 1}}],
        algorithm={"name": "GP", "gp": {"startupTrials": 6}},
        limits__trials=30,
    )
    task = problem(spec, study_uid="uid")
    history: list[Observation] = []
    expected: list[float] = []
    for number in range(25):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        x, y = float(made.parameters["x"]), float(made.parameters["y"])
        if made.by == "GP":
            assert made.expected is not None
            expected.append(made.expected)
        history.append(Observation(number, made.parameters, ((x - 0.31) ** 2 + (y - 0.77) ** 2,)))
    assert min(each.values[0] for each in history if each.values) < 1e-4
    assert expected[-1] < expected[0], "the less there is to be gained, the less is expected"


def test_above_its_limit_tpe_goes_on_and_says_so() -> None:
    spec = a_spec(algorithm={"name": "GP", "gp": {"startupTrials": 2, "maxTrials": 10}}, limits__trials=30)
    history = [Observation(n, {"x": n / 11}, (float(n % 5),)) for n in range(11)]
    made = suggest(problem(spec, study_uid="uid"), history=history, running={}, number=11)
    assert isinstance(made, Suggestion)
    assert made.by == "TPE"
    assert made.reason.startswith("more than 10 results: TPE")


def test_with_more_points_under_way_than_results_the_others_are_quasi_random() -> None:
    spec = a_spec(algorithm={"name": "GP", "gp": {"startupTrials": 2}}, limits={"trials": 50, "parallel": 20})
    history = [Observation(n, {"x": n / 4}, (float(n),)) for n in range(4)]
    running = {n: {"x": 0.1 + n / 100} for n in range(4, 8)}
    made = suggest(problem(spec, study_uid="uid"), history=history, running=running, number=8)
    assert isinstance(made, Suggestion)
    assert made.reason.startswith("4 under way, 4 results known")


def test_where_the_numbers_fail_tpe_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Fit:
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr("tuning_operator.search.gp_model.fitted", broken)
    spec = a_spec(algorithm={"name": "GP", "gp": {"startupTrials": 2}}, limits__trials=30)
    history = [Observation(n, {"x": n / 11}, (float(n % 5),)) for n in range(11)]
    made = suggest(problem(spec, study_uid="uid"), history=history, running={}, number=11)
    assert isinstance(made, Suggestion)
    assert made.by == "TPE"
    assert made.reason == "the Gaussian process fails (not positive definite): TPE, model of 11 results"


def test_auto_lets_tpe_make_every_third_suggestion() -> None:
    spec = a_spec(algorithm={"name": "Auto"}, limits__trials=30)
    task = problem(spec, study_uid="uid")
    history = [Observation(n, {"x": n / 21}, (float(n % 5),)) for n in range(20)]
    made = [suggest(task, history=history, running={}, number=number) for number in range(20, 26)]
    assert [each.by for each in made if isinstance(each, Suggestion)] == ["TPE", "GP", "GP"] * 2


def test_what_does_not_work_is_kept_away_from() -> None:
    """Half of the range does not work, and values get better towards it."""
    spec = a_spec(
        objectives=[{"metric": "loss", "goal": "Minimize"}],
        parameters=[{"name": "x", "float": {"min": 0, "max": 1}}],
        algorithm={"name": "GP", "gp": {"startupTrials": 6}},
        limits__trials=40,
    )
    task = problem(spec, study_uid="uid")
    history: list[Observation] = []
    for number in range(25):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        x = float(made.parameters["x"])
        history.append(Observation(number, made.parameters, (-x,) if x < 0.5 else None, infeasible=x >= 0.5))
    assert sum(each.infeasible for each in history[6:]) <= 8
    assert min(each.values[0] for each in history if each.values) < -0.45


def test_a_constraint_that_is_broken_less_is_no_best() -> None:
    spec = a_spec(
        objectives=[{"metric": "loss", "goal": "Minimize"}],
        parameters=[{"name": "x", "float": {"min": 0, "max": 1}}],
        algorithm={"name": "GP", "gp": {"startupTrials": 4}},
        limits__trials=40,
    )
    task = problem(spec, study_uid="uid")
    history: list[Observation] = []
    for number in range(20):
        made = suggest(task, history=history, running={}, number=number)
        assert isinstance(made, Suggestion)
        x = float(made.parameters["x"])
        history.append(Observation(number, made.parameters, (x,), violation=max(0.0, 0.3 - x)))
    kept = [each.values[0] for each in history if each.values and each.violation == 0]
    assert min(kept) < 0.36
