"""The HTTP API of one data folder."""

from __future__ import annotations

from fastapi import FastAPI

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.app.http import (
    errors,
    routes_audio,
    routes_live,
    routes_models,
    routes_search,
    routes_voices,
    routes_wakeword,
    routes_work,
)
from phonoloop.app.views import champion_view

#: what the API is made of
ROUTES = (
    routes_audio,
    routes_search,
    routes_work,
    routes_models,
    routes_wakeword,
    routes_voices,
    routes_live,
)


def create_api(app: App) -> FastAPI:
    """Builds the API. It holds no state of its own: everything is in `app`."""
    api = FastAPI(title="Phonoloop", version=__version__, docs_url="/docs", redoc_url=None)
    api.state.app = app
    errors.install(api)
    for part in ROUTES:
        api.include_router(part.router)

    @api.get("/health")
    def health() -> dict:
        """Whether the records answer and which model serves."""
        with app.records.transaction() as tx:
            champion = champion_view(tx)
        broken = app.champion.error
        return {
            "status": "degraded" if broken else "ok",
            "version": __version__,
            "champion": champion["model_id"] if champion else None,
            "error": {"code": broken.code, "message": str(broken)} if broken else None,
        }

    return api
