"""How a route gets at the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from phonoloop.app.bootstrap import App
from phonoloop.core.errors import InputError

_MOST_ACTOR_CHARS = 100


def _app(request: Request) -> App:
    return request.app.state.app


CurrentApp = Annotated[App, Depends(_app)]


def _actor(x_actor: Annotated[str, Header(description="who does it, for the audit log")] = "") -> str:
    """`http` where the sender does not say. Nobody checks who they are: that is for what stands in front."""
    name = x_actor.strip()
    if len(name) > _MOST_ACTOR_CHARS or not name.isprintable():
        raise InputError(
            "this names nobody", code="actor.name", subject="X-Actor", hint="Give at most 100 characters"
        )
    return name or "http"


CurrentActor = Annotated[str, Depends(_actor)]
