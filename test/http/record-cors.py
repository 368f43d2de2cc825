"""Records the CORS headers of the original: `record-cors.py > cors.json`, with a Python that has prefect 3.8.8."""

import json

from prefect.settings import (
    PREFECT_SERVER_CORS_ALLOWED_HEADERS,
    PREFECT_SERVER_CORS_ALLOWED_METHODS,
    PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    temporary_settings,
)
from prefect.server.api.server import create_app
from starlette.testclient import TestClient

ORIGIN = "https://ui.example"
SETTINGS = {
    "nothing": {},
    "all": {"origins": "*", "methods": "*", "headers": "*"},
    "two origins": {"origins": f"{ORIGIN},http://localhost:3000"},
    "some methods": {"methods": "GET,POST"},
    "some headers": {"headers": "X-Mine,authorization"},
    "a list of each": {"origins": ORIGIN, "methods": "GET,POST", "headers": "X-Mine"},
}
NAMES = {
    "origins": PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    "methods": PREFECT_SERVER_CORS_ALLOWED_METHODS,
    "headers": PREFECT_SERVER_CORS_ALLOWED_HEADERS,
}
METHOD = "access-control-request-method"
HEADERS = "access-control-request-headers"
REQUESTS = [
    ("GET", {}),
    ("GET", {"origin": ORIGIN}),
    ("GET", {"origin": "https://other.example"}),
    ("GET", {"origin": "null"}),
    ("OPTIONS", {}),
    ("OPTIONS", {"origin": ORIGIN}),
    ("OPTIONS", {METHOD: "POST"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "POST"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "PATCH"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "BREW"}),
    ("OPTIONS", {"origin": "https://other.example", METHOD: "DELETE"}),
    ("OPTIONS", {"origin": "null", METHOD: "GET"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "POST", HEADERS: "content-type"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "POST", HEADERS: "authorization, X-MINE"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "POST", HEADERS: "x-mine,x-other"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "POST", HEADERS: ""}),
    ("OPTIONS", {"origin": "https://other.example", METHOD: "BREW", HEADERS: "x-other"}),
    ("OPTIONS", {"origin": ORIGIN, METHOD: "GET", "access-control-request-private-network": "true"}),
]


def ask(client, method, headers):
    answer = client.request(method, "/api/health", headers=headers)
    shared = {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}
    vary = [name.strip() for name in answer.headers.get("vary", "").split(",")]
    return {
        "method": method,
        "headers": headers,
        "status": answer.status_code,
        # The original compresses answers and names the compression in a header. Cloudflare compresses ours.
        "shared": {**shared, "vary": ", ".join(name for name in vary if name != "Accept-Encoding")},
        "text": answer.text,
    }


recorded = []
for name, given in SETTINGS.items():
    with temporary_settings({NAMES[key]: value for key, value in given.items()}):
        client = TestClient(create_app(ignore_cache=True, ephemeral=True))
        recorded.append({"name": name, "settings": given, "answers": [ask(client, *request) for request in REQUESTS]})
print(json.dumps(recorded, indent=1))
