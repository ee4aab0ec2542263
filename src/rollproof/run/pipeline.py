"""Follow the running version's road: look at each place that it passed, then ask the app itself. Changes nothing."""

from __future__ import annotations

from rollproof.probes.pipeline import PipelineLook
from rollproof.probes.proof import Prover
from rollproof.run.context import RunContext

__all__ = ["follow_pipeline"]


def follow_pipeline(context: RunContext) -> None:
    """Record what each place says; the checker `pipeline` judges it. Without a known tag the app is not asked."""
    clients, target = context.clients, context.target
    context.status("what the pipeline's places say")
    look = PipelineLook(target, clients.kube, clients.argo, clients.repo, context.folder, context.environ)
    look.all()
    if look.commit is not None and look.rollout is not None:
        context.status("which version answers")
        prover = Prover(target, clients.kube, clients.http, context.folder, clients.ways)
        prover.prove((pod.name for pod in look.rollout.pods), look.commit.tag)
    look.tag_again()
