"""How a route gets at the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from phonoloop.app.bootstrap import App


def _app(request: Request) -> App:
    return request.app.state.app


CurrentApp = Annotated[App, Depends(_app)]
