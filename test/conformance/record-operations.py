"""
Prints the operations and the sockets of the original: its OpenAPI document, and its routes for WebSockets.

    python test/conformance/record-operations.py > test/conformance/operations.json
"""

import json

from prefect.server.api.server import create_app
from starlette.routing import WebSocketRoute

METHODS = ("get", "post", "put", "patch", "delete")


def api():
    for route in create_app().routes:
        if getattr(route, "path", None) == "/api":
            return route.app
    raise SystemExit("the original serves no /api")


def operations(document):
    """Each operation, and whether it takes a body."""
    return {
        f"{method.upper()} {path.removeprefix('/api')}": "requestBody" in item[method]
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    }


def sockets(app):
    """FastAPI keeps each included router as one route."""
    routers = [getattr(route, "original_router", None) for route in app.routes]
    routes = [route for router in routers if router for route in router.routes]
    return sorted(route.path for route in routes if isinstance(route, WebSocketRoute))


app = api()
print(json.dumps({"operations": operations(app.openapi()), "sockets": sockets(app)}, indent=2))
