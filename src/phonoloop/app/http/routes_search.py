"""Search over what was said."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from phonoloop.app.http.state import CurrentApp
from phonoloop.app.searching import hit_view, query_of

router = APIRouter(prefix="/v1")


@router.get("/search")
def search(
    app: CurrentApp,
    q: Annotated[str, Query(description="what is looked for; its marks may be missing")],
    top_k: int = 20,
    min_score: Annotated[float | None, Query(description="least cosine, -1 to 1")] = None,
    split: str = "",
    speaker: str = "",
    min_snr: float | None = None,
    date_from: Annotated[str, Query(description="a day or a moment, ISO 8601")] = "",
    date_to: Annotated[str, Query(description="a day (to its end) or a moment")] = "",
    provenance: str = "",
) -> dict[str, Any]:
    """Where something was said, or what sounds like it: hits with recording, time span and speaker."""
    query = query_of(
        q,
        k=top_k,
        min_score=min_score,
        split=split,
        speaker=speaker,
        min_snr_db=min_snr,
        date_from=date_from,
        date_to=date_to,
        provenance=provenance,
    )
    hits = [hit_view(hit) for hit in app.search.search(query)]
    return {"query": q, "count": len(hits), "hits": hits}
