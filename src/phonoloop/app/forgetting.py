"""Forgetting a speaker everywhere: the data, the predictions, the models' cards."""

from __future__ import annotations

from phonoloop.app.bootstrap import App
from phonoloop.core.ports import Transaction
from phonoloop.data.forget import Forgotten, forget_speaker
from phonoloop.data.stores import Stores
from phonoloop.registry import card, lineage
from phonoloop.registry.model import Model, Prediction


def forget(app: App, name: str, *, actor: str) -> Forgotten:
    """See `forget_speaker`; what models heard in the speaker's clips goes too."""

    def mark_models(tx: Transaction, speaker_id: str) -> list[str]:
        for prediction in tx.find(Prediction, speaker_id=speaker_id):
            tx.delete(Prediction, prediction.prediction_id)
        marked = lineage.mark_models_of_speaker(tx, app.blobs, speaker_id, actor=actor)
        return [model.model_id for model in marked]

    kept_in = [app.inbox.parent / folder for folder in ("processed", "rejected")]
    stores = Stores(app.records, app.blobs)
    done = forget_speaker(stores, name, actor=actor, mark_models=mark_models, kept_in=kept_in)
    for model_id in done.models:
        _write_card(app, model_id)
    return done


def _write_card(app: App, model_id: str) -> None:
    with app.records.transaction() as tx:
        model = tx.get(Model, model_id)
        text = card.model_card(tx, app.blobs, model_id)
    app.blobs.put(model.artefacts + "card.md", text.encode())
