"""spark-mobile's admin area and coupons: who may, what is told, and that no secret is."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient

from blueprints.compat import spark_mobile_bearers as bearers
from config import ConfigError
from services.events import Usage
from tests.compat.test_spark_mobile import DIALOG, ask, member
from tests.scripted import words
from tests.servers import Site, Stand

CHIEF = {"admin": "admin", "password": "a chief's password"}
LIMIT = {"tokens": 50, "pictimes": 2}


@pytest.fixture
def site_env(site_env: dict[str, str]) -> dict[str, str]:
    return {**site_env, "INITIAL_TOKENS": "5000", "SPARK_MOBILE_ADMIN_PASSWORD": CHIEF["password"]}


class Desk:
    """An administrator's browser."""

    def __init__(self, site: Site, credentials: dict[str, str] = CHIEF) -> None:
        self.client: FlaskClient = site.client()
        self.told = self.client.post("/admin/login", json=credentials).get_json()
        self.headers = {"Authorization": f"Bearer {self.told['access_token']}"}

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/admin/{path}", json=body, headers=self.headers)
        assert answer.status_code == 200
        return answer.get_json()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/admin/{path}", query_string=query, headers=self.headers)
        assert answer.status_code == 200
        return answer.get_json()


def user(name: str = "ann", **more: Any) -> dict[str, Any]:
    return {"username": name, "password": "pw", "tokens": 500, "email": "", "pictimes": "3", "academy": "", **more}


def new_user(name: str = "ann", **more: Any) -> dict[str, Any]:
    return {f"new_{key}": value for key, value in user(name, **more).items()}


def test_a_sign_in_gives_tokens_and_no_keys(site: Site) -> None:
    told = Desk(site).told
    assert (told["code"], set(told["app_info"])) == (0, {"app_id", "api_key", "api_secret"})
    assert set(told["app_info"].values()) == {"******"}
    for wrong in ({**CHIEF, "password": "wrong"}, {**CHIEF, "admin": "nobody"}, {}):
        assert site.client().post("/admin/login", json=wrong).get_json()["code"] == "LOGIN_ERROR"


def test_tokens_end_renew_and_cannot_be_forged(site: Site) -> None:
    desk = Desk(site)
    access, refresh = desk.told["access_token"], desk.told["refresh_token"]

    def status(token: str, path: str = "/admin/query_table_count?table=user") -> int:
        answer = site.client().get(path, headers={"Authorization": f"Bearer {token}"})
        if answer.status_code != 200:
            assert set(answer.get_json()) == {"msg"}
        return answer.status_code

    assert site.client().get("/admin/query_table_count?table=user").status_code == 401
    assert (status(access), status(refresh), status("garbage"), status("ü.ü.ü")) == (200, 422, 422, 422)
    assert (status(access, "/admin/refresh"), status(refresh, "/admin/refresh")) == (422, 200)
    renewed = desk.client.get("/admin/refresh", headers={"Authorization": f"Bearer {refresh}"}).get_json()
    assert status(renewed["access_token"]) == 200

    head, body, _ = access.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    assert status(f"{unsigned}.{body}.") == 422
    assert status(f"{head}.{body}.{bearers.issue('another key', 'access', bearers.Claims('admin', ''), 0)}") == 422


def test_an_access_token_is_good_for_an_hour() -> None:
    claims, now_s = bearers.Claims("admin", "stamp"), time.time()
    token = bearers.issue("key", "access", claims, now_s)
    assert bearers.read("key", "access", token, now_s + 3_598) == claims
    with pytest.raises(bearers.Expired):
        bearers.read("key", "access", token, now_s + 3_601)


def test_users_are_added_changed_and_deleted(site: Site) -> None:
    desk, client = Desk(site), site.client()
    assert desk.post("add_normal_user", **user(academy="maths")) == {"code": 0, "msg": "添加成功"}
    assert desk.post("add_normal_user", **user("ANN"))["code"] == "USER_NAME_REPEAT"
    assert desk.post("add_normal_user", username="bob")["code"] == "ADD_USER_ERROR"
    told = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    assert (told["tokens"], told["picTimes"]) == (500, 3)

    changed = desk.post("modify_normal_user", target_user="ann", new_user_info=new_user("anna", tokens=7, password=""))
    assert changed["code"] == 0
    told = client.post("/auth/login", json={"username": "anna", "password": "pw"}).get_json()
    assert told["tokens"] == 7
    assert desk.post("modify_normal_user", target_user="nobody", new_user_info=new_user())["code"] == "USER_NOT_FOUND"
    assert desk.post("modify_normal_user", target_user="anna")["code"] == "MODIFY_USER_ERROR"

    assert desk.post("delete_normal_user", target_username="anna")["code"] == 0
    assert desk.post("delete_normal_user", target_username="anna")["code"] == "USER_NOT_FOUND"
    gone = ask(client, {"uuid": told["uuid"], "username": "anna"})
    assert gone.get_json()["code"] == "USER_NOT_FOUND"


def test_the_tables_tell_no_secret(site: Site) -> None:
    desk = Desk(site)
    pair = member(site.client())
    desk.post("add_token", token_name="spring", token_limit=LIMIT, token_range="all")

    page = {"start": 0, "query_range": 5}
    rows = {table: desk.get("query_table", table=table, **page)["data"] for table in ("user", "admin", "token")}
    assert [set(rows[table][0]) for table in rows] == [
        {"Id", "UserName", "PassWord", "Tokens", "Email", "PicTimes", "Academy"},
        {"Id", "UserName", "PassWord", "Auth"},
        {"Id", "TokenName", "TokenLimit", "TokenRange", "IsAvailable"},
    ]
    assert rows["token"][0]["TokenLimit"] == LIMIT
    everything = json.dumps(rows)
    assert "argon2" not in everything and pair["uuid"] not in everything and CHIEF["password"] not in everything
    assert desk.get("query_table_count", table="user")["total_count"] == 1
    assert desk.get("query_table_data", table="user", target_name="ann")["data"] == rows["user"][0]
    assert desk.get("query_table_data", table="user", target_name="bob")["code"] == "QUERY_TABLE_DATA_ERROR"
    assert desk.get("query_table", table="turn")["code"] == "TABLE_NOT_FOUND"
    assert desk.get("query_table", table="user", start="'; DROP TABLE user")["code"] == "QUERY_TABLE_ERROR"


def test_only_the_chief_looks_after_administrators(site: Site) -> None:
    chief = Desk(site)
    helper = {"admin": "helper", "password": "a helper's password"}
    assert chief.post("add_admin", **helper)["code"] == 0
    assert chief.post("add_admin", **helper)["code"] == "ADD_ADMIN_ERROR"
    desk = Desk(site, helper)
    for path in ("add_admin", "modify_admin", "delete_admin", "delete_token"):
        assert desk.post(path, **helper)["code"] == "PERMISSION_NOT_ALLOW"
    assert desk.post("add_token", token_name="spring", token_limit=LIMIT, token_range="")["code"] == 0

    assert chief.post("modify_admin", target_admin="helper", new_name="aide")["code"] == 0
    assert desk.client.get("/admin/query_table?table=user", headers=desk.headers).status_code == 401
    assert chief.post("delete_admin", target_admin="aide")["code"] == 0
    assert chief.post("delete_admin", target_admin="aide")["code"] == "DELETE_ADMIN_ERROR"
    assert chief.post("modify_admin", target_admin="aide", new_name="x")["code"] == "MODIFY_ADMIN_ERROR"


def test_a_coupon_is_had_once(site: Site) -> None:
    desk, client = Desk(site), site.client()
    pair = member(client)

    def get(token: str = "spring", uuid: str = pair["uuid"], academy: str = "") -> Any:
        body = {"token_id": token, "user_id": uuid, "user_academy": academy}
        return client.post("/user/get_token", json=body).get_json()["code"]

    assert get() == "TOKEN_NOT_FOUND"
    desk.post("add_token", token_name="spring", token_limit=LIMIT, token_range="maths")
    assert desk.post("add_token", token_name="spring", token_limit=LIMIT, token_range="")["code"] == "TOKEN_REPEAT"
    assert desk.post("add_token", token_name="x", token_limit=50)["code"] == "ADD_TOKEN_ERROR"
    assert get(uuid="0" * 32) == "USER_NOT_FOUND"
    assert get(academy="physics") == "USER_GET_TOKEN_ERROR"
    desk.get("control_token", token_name="spring", is_available=0)
    assert get(academy="maths") == "USER_GET_TOKEN_ERROR"
    desk.get("control_token", token_name="spring", is_available=1)

    requests = [gevent.spawn(get, academy="maths") for _ in range(6)]
    gevent.joinall(requests, raise_error=True)
    assert sorted(map(str, (job.value for job in requests))) == ["0"] + ["TOKEN_ALREADY_GET"] * 5
    told = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    assert (told["tokens"], told["picTimes"]) == (5050, 102)

    changed = {"new_token_limit": LIMIT, "new_token_range": "", "new_token_is_available": 0}
    assert desk.post("modify_token", target_token="spring", **changed)["code"] == 0
    assert desk.post("modify_token", target_token="autumn", **changed)["code"] == "TOKEN_NOT_FOUND"
    assert desk.get("control_token", token_name="spring", is_available="maybe")["code"] == "CONTROL_TOKEN_ERROR"
    assert desk.post("delete_token", target_token="spring")["code"] == 0
    assert desk.post("delete_token", target_token="spring")["code"] == "TOKEN_NOT_FOUND"


def test_the_console_asks_the_model_once(stand: Stand) -> None:
    stand.provider.script = words("fine", usage=Usage(3, 1))
    told = Desk(stand.site).post("console_test", dialog=DIALOG, limit=64, top_k=4, temperature=0.2)
    assert told == {"code": 0, "consume_token": 4, "content": "fine", "msg": "成功"}
    assert [(asked.max_tokens, asked.temperature) for asked in stand.provider.requests] == [(64, 0.2)]


def test_without_a_password_there_is_no_admin_area(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "SPARK_MOBILE_ADMIN_PASSWORD": ""})
    try:
        answer = stand.site.client().post("/admin/login", json={"admin": "admin", "password": ""})
        assert (answer.status_code, answer.get_json()["code"]) == (200, "APP_NOT_FOUND_ERROR")
    finally:
        stand.site.close()
    with pytest.raises(ConfigError, match="SPARK_MOBILE_ADMIN_PASSWORD"):
        Stand({**site_env, "SPARK_MOBILE_ADMIN_PASSWORD": "admin"})
