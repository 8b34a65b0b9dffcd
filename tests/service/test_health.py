import platform

import httpx


def test_the_service_says_that_it_lives(client: httpx.Client) -> None:
    answer = client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_a_ready_service_names_the_state_of_every_task(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    state = answer.json()
    assert (state["ready"], state["reason"], state["registry"]) == (True, None, "ok")
    assert state["tasks"]["steps"] == {
        "state": "serving",
        "version": "1",
        "last_error": None,
        "from_disk": False,
    }


def test_the_software_is_named_with_its_versions(client: httpx.Client) -> None:
    version = client.get("/version").json()
    assert set(version) == {"gatecast", "python", "torch", "mlflow"}
    assert version["python"] == platform.python_version()


def test_metrics_say_what_serves_and_that_the_registry_answers(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    assert "gatecast_registry_up 1.0" in lines
    assert 'gatecast_serving{from_disk="false",task="steps",version="1"} 1.0' in lines
