import httpx

from tests.service.conftest import COVARIATES
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually


def test_every_task_of_the_registry_is_listed(client: httpx.Client) -> None:
    names = [model["name"] for model in client.get("/v1/models").json()["models"]]
    assert {"load", "steps", "point", "covariates", "daily"} <= set(names)
    assert names == sorted(names)


def test_a_model_tells_what_it_reads_and_answers(client: httpx.Client) -> None:
    model = client.get("/v1/models/covariates").json()
    assert model["state"] == "serving"
    assert model["aliases"] == {"champion": "1"}
    assert model["last_error"] is None
    champion = model["champion"]
    assert champion["version"] == "1"
    assert champion["cell"] == "gru"
    assert (champion["kind"], champion["freq"], champion["timezone"]) == ("time", "h", "UTC")
    assert champion["horizon"] == 6
    assert champion["quantiles"] == list(COVARIATES.quantiles)
    assert champion["hist_exog"] == ["temperature"]
    assert champion["futr_exog"] == ["price"]
    assert champion["stat_exog"] == ["area"]
    assert champion["scores"] == {"mase": 0.5}
    assert champion["baselines"] == {"seasonal_naive": {"mase": 0.5}}


def test_versions_are_listed_newest_first_with_their_scores(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("history", spec())
    second = registry.register("history", spec(), seed=2, champion=False)
    registry.alias("history", "challenger", second)
    eventually(lambda: client.get("/v1/models/history").status_code == 200)
    answer = client.get("/v1/models/history/versions").json()
    assert answer["model"] == "history"
    newest, oldest = answer["versions"]
    assert (newest["version"], newest["aliases"], newest["serving"]) == ("2", ["challenger"], False)
    assert oldest["version"] == "1"
    assert oldest["aliases"] == ["champion"]
    assert (newest["cell"], newest["parameters"]) == ("gru", 1234)
    assert newest["scores"] == {"mase": 0.5}
    assert newest["baselines"] == {"seasonal_naive": {"mase": 1.0}}
    assert newest["created"].endswith("Z")


def test_a_model_that_is_not_served_is_not_found(client: httpx.Client) -> None:
    for path in ("nothing", "nothing/versions", "..%2f..%2fetc", "%00", "a" * 65):
        answer = client.get(f"/v1/models/{path}")
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_registered_model_of_others_is_not_served(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register_untagged("theirs")
    registry.register("ours", spec())
    eventually(lambda: client.get("/v1/models/ours").status_code == 200)
    assert client.get("/v1/models/theirs").status_code == 404
