"""Which cause is named first: the root before its symptoms, and nothing on a sound run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from story import NEW, OLD, Story

from rollproof.core.diagnosis import Cause
from rollproof.core.event import Outcome
from rollproof.core.posture import ContainerSeen, DeploymentSeen, ProbeSeen
from rollproof.core.posturewords import SOURCE, PostureWord, Topic
from rollproof.core.typedviews import stored
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.judge.diagnose import rank


def ranked(story: Story, *verdicts: Verdict, result: Result = Result.FAIL) -> Sequence[Cause]:
    return rank({story.drill: story.facts()}, verdicts, result)


def failed(checker: str, *codes: str, drill: str = "zero-downtime", **numbers: int) -> Verdict:
    findings = tuple(Finding(code, f"said of {code}", "look") for code in codes)
    return Verdict(checker, "it", Result.FAIL, f"{checker} failed", drill, numbers=numbers, findings=findings)


def codes_of(causes: Sequence[Cause]) -> list[str]:
    return [cause.code for cause in causes]


def stuck_release(*, answer: str = "ok", status: int = 503) -> Story:
    """A release whose new pod never gets ready, with its answer of the readiness path."""
    story = Story().release_started()
    story.tell(
        "watch", "Pod/shop/new-1", "added", at=101.0, uid="uid-new-1", ready=False, phase="Running", node="n1",
        image=f"ghcr.io/shop/web:{NEW}", template_hash=f"hash-{NEW}", member=True,
    ).tell(
        "release", f"Release/{NEW}", "failed", at=160.0, outcome=Outcome.FAIL, stage="rolled-out",
        cause="ProgressDeadlineExceeded", reason="no progress",
    )  # fmt: skip
    outcome = Outcome.OK if answer == "ok" else Outcome.FAIL
    return story.tell(
        "proof", "Pod/shop/new-1", "database", at=161.0, outcome=outcome, value=answer, expected="ok", status=status
    )


def test_the_pod_that_kept_a_rollout_comes_before_its_deadline() -> None:
    causes = ranked(stuck_release(), failed("release", "PROGRESS_DEADLINE_EXCEEDED"))
    assert codes_of(causes) == ["POD_NEVER_READY", "PROGRESS_DEADLINE_EXCEEDED"]
    assert causes[0].text == "new-1 was Running and not Ready at the end; /ready answered 503"
    assert causes[0].proof == "rollproof run zero-downtime"


def test_a_database_that_is_away_comes_before_the_pod_and_the_endpoints() -> None:
    causes = ranked(
        stuck_release(answer="down"),
        failed("release", "PROGRESS_DEADLINE_EXCEEDED"),
        failed("availability", "NO_READY_ENDPOINT", failures=7),
    )
    assert codes_of(causes)[0] == "DATABASE_AWAY"
    assert set(codes_of(causes)[2:]) == {"PROGRESS_DEADLINE_EXCEEDED", "NO_READY_ENDPOINT"}


def beside_old_pods(*, path: str = "/ready", ready_again: bool = True) -> Story:
    """The same beside two old pods that were ready all the time, by a probe of that path."""
    told = Story()
    probe = ProbeSeen(kind="httpGet", path=path, period_s=10, failures=3)
    container = ContainerSeen(name="web", image="ghcr.io/shop/web:1", readiness=probe, requests={}, limits={})
    live = DeploymentSeen(name="web", app="web", replicas=2, containers=(container,), node_selector={}, configs={})
    told.tell(SOURCE, f"{Topic.DEPLOYMENT}/shop/web", PostureWord.READ, at=90.0, **stored(live))
    for name in ("old-1", "old-2"):
        told.pod(name, "added", at=90.0, ready=True)
    told.pod("old-1", "modified", at=120.0, ready=ready_again).pod("old-1", "modified", at=121.0, ready=True)
    told.events += stuck_release(answer="down").events
    told.events[:] = [replace(event, seq=seq) for seq, event in enumerate(told.events, 1)]
    return told


def test_a_pod_that_alone_says_that_the_database_is_away_comes_before_the_database() -> None:
    """The old ones are ready by the same question: what this version asks for is its own."""
    failures = failed("release", "PROGRESS_DEADLINE_EXCEEDED"), failed("readiness")
    causes = ranked(beside_old_pods(), *failures)
    assert codes_of(causes) == ["POD_NEVER_READY", "DATABASE_AWAY", "PROGRESS_DEADLINE_EXCEEDED"]
    assert causes[1].text.endswith("; old-1, old-2 were ready by the same question meanwhile")
    answered = stuck_release(answer="down").tell(
        "proof", "Pod/shop/old-1", "database", at=161.0, value="ok", expected="ok", status=200
    )
    assert codes_of(ranked(answered, *failures))[0] == "POD_NEVER_READY"


def test_old_pods_that_nobody_asks_for_the_database_or_that_lost_their_readiness_do_not_vouch_for_it() -> None:
    failures = failed("release", "PROGRESS_DEADLINE_EXCEEDED"), failed("readiness")
    assert codes_of(ranked(beside_old_pods(path="/health"), *failures))[0] == "DATABASE_AWAY"
    flickered = beside_old_pods(ready_again=False)
    flickered.events[:] = [one for one in flickered.events if "old-2" not in one.subject]
    assert codes_of(ranked(flickered, *failures))[0] == "DATABASE_AWAY"


def test_a_pod_that_was_asked_before_the_others_could_have_noticed_does_not_come_first() -> None:
    """A probe every 10 s that has to fail three times: after 20 s all may still be called ready."""
    told = beside_old_pods()
    told.events[:] = [replace(one, start_s=121.0, end_s=121.0) if one.source == "proof" else one for one in told.events]
    assert codes_of(ranked(told, failed("release", "PROGRESS_DEADLINE_EXCEEDED")))[0] == "DATABASE_AWAY"


def test_pods_that_stay_ready_while_their_database_is_away_are_not_said_to_be_left_out() -> None:
    assert "so the Service leaves them out" in ranked(stuck_release(answer="down"), failed("readiness"))[0].text
    told = Story().release_started()
    told.tell("watch", "Pod/shop/new-1", "added", at=101.0, uid="uid-new-1", ready=True, phase="Running", member=True)
    told.tell(
        "proof", "Pod/shop/new-1", "database", at=161.0, outcome=Outcome.FAIL, value="down", expected="ok", status=503
    )
    first = ranked(told, failed("readiness"))[0]
    assert first.code == "DATABASE_AWAY"
    assert "they are Ready all the same" in first.text
    assert "let the readiness probe ask /ready" in first.hint


def test_a_readiness_path_that_says_it_with_200_is_the_cause() -> None:
    causes = ranked(stuck_release(answer="down", status=200), failed("readiness"))
    assert codes_of(causes) == ["READY_IGNORES_DATABASE"]


def test_argo_cd_that_applied_nothing_comes_before_the_deadline() -> None:
    story = Story().release_started()
    story.tell("watch", "Deployment/shop/web", "added", at=90.0, image=f"ghcr.io/shop/web:{OLD}")
    story.stages(until="synced").tell(
        "release", f"Release/{NEW}", "failed", at=130.0, outcome=Outcome.FAIL, stage="rolled-out",
        cause="DeadlineExceeded", reason="waited",
    )  # fmt: skip
    causes = ranked(story, failed("release", "DEADLINE_EXCEEDED"))
    assert codes_of(causes) == ["NOT_APPLIED", "DEADLINE_EXCEEDED"]


def test_what_stands_beside_is_no_cause_and_silence_is_said() -> None:
    causes = ranked(Story().release_started(), failed("availability", "MASKED", "NOISE"))
    assert codes_of(causes) == ["UNEXPLAINED"]
    assert causes[0].text == "availability failed"


def test_what_explains_more_requests_comes_first() -> None:
    few = Finding("KEEPALIVE_RACE", "few", "look", numbers={"failures": 2})
    most = Finding("READINESS_LIES", "most", "look", numbers={"failures": 8})
    verdict = Verdict(
        "availability", "it", Result.FAIL, "lost", "zero-downtime", numbers={"failures": 10}, findings=(few, most)
    )
    causes = ranked(Story().release_started(), verdict)
    assert codes_of(causes) == ["READINESS_LIES", "KEEPALIVE_RACE"]
    assert causes[0].supports == ("it fits 8 of 10 failed requests",)
    assert causes[0].contradicts == ("2 of 10 failed requests do not fit it",)


def test_of_two_drifts_each_has_its_own_share() -> None:
    each = [
        Finding(
            "INJECTED",
            f"the drift {name} was injected 0.2 s before {count} failures",
            "survive it",
            {"failures": count},
        )
        for name, count in (("ingress-rule", 6), ("delete-ingress", 4))
    ]
    verdict = Verdict(
        "availability", "it", Result.FAIL, "lost", "drift", numbers={"failures": 10}, findings=tuple(each)
    )
    causes = ranked(Story("drift"), verdict)
    assert [(one.code, one.supports) for one in causes] == [
        ("INJECTED", ("it fits 6 of 10 failed requests",)), ("INJECTED", ("it fits 4 of 10 failed requests",)),
    ]  # fmt: skip


def test_a_run_that_passed_has_no_cause() -> None:
    passed = Verdict(
        "availability", "it", Result.PASS, "well", "zero-downtime", findings=(Finding("MASKED", "m", "look"),)
    )
    assert ranked(stuck_release(answer="down"), passed, result=Result.PASS) == ()


def test_late_answers_are_no_reason_why_nothing_can_be_claimed() -> None:
    verdict = Verdict(
        "availability",
        "it",
        Result.INCONCLUSIVE,
        "who knows",
        "zero-downtime",
        findings=(Finding("SLOW", "late", "look"),),
    )
    assert ranked(Story(), verdict, result=Result.INCONCLUSIVE) == ()


def test_what_the_undo_left_is_no_cause_of_what_broke() -> None:
    causes = ranked(Story(), failed("release", "CRASH_LOOP_BACK_OFF"), failed("undo", "UNDO_FAILED", drill="undo"))
    assert codes_of(causes) == ["CRASH_LOOP_BACK_OFF"]


def readiness_lost(story: Story) -> Cause:
    """Both pods ready before, and not ready any more 9 s after the start of the act."""
    for name in ("old-1", "old-2"):
        for at_s, ready in ((90.0, True), (109.0, False)):
            story.tell(
                "watch", f"Pod/shop/{name}", "modified", at=at_s, uid=f"uid-{name}", ready=ready, phase="Running",
                image=f"ghcr.io/shop/web:{OLD}", template_hash=f"hash-{OLD}", member=True,
            )  # fmt: skip
    return ranked(story, failed("availability", "NO_READY_ENDPOINT", failures=7))[0]


def test_readiness_that_was_lost_during_a_fault_is_told_with_its_name() -> None:
    first = readiness_lost(Story().fault("node-spot", of="Node/n1"))
    assert first.code == "READINESS_LOST"
    assert "within 0.0 s, 9.0 s after the fault node-spot was injected" in first.text
    assert "did the fault node-spot take that away too?" in first.hint


def test_the_pod_that_a_fault_was_done_to_has_lost_its_readiness_by_that() -> None:
    assert readiness_lost(Story().fault("container-stop")).text.startswith("old-2 lost its readiness")
    alone = Story().fault("container-stop")
    for at_s, ready in ((90.0, True), (102.0, False)):
        alone.tell(
            "watch", "Pod/shop/old-1", "modified", at=at_s, uid="uid-old-1", ready=ready, phase="Running", member=True
        )  # fmt: skip
    causes = ranked(alone, failed("availability", "ONE_ENDPOINT", failures=3))
    assert codes_of(causes) == ["ONE_ENDPOINT"]


def test_readiness_that_was_lost_without_a_fault_is_told_without_one() -> None:
    first = readiness_lost(Story().release_started())
    assert first.code == "READINESS_LOST"
    assert "fault" not in first.text + first.hint


def test_a_container_that_ended_by_itself_is_no_question_of_what_readiness_asks_for() -> None:
    story = Story().release_started()
    for at_s, ready, reason in ((103.0, True, ""), (106.0, False, "Error")):
        story.tell(
            "watch", "Pod/shop/new-1", "modified", at=at_s, uid="uid-new-1", ready=ready, phase="Running", member=True,
            reason=reason, restarts=0,
        )  # fmt: skip
    first = ranked(story, failed("availability", "NO_READY_ENDPOINT", failures=7))[0]
    assert first.code == "CONTAINER_ENDED"
    assert first.text == "the container of new-1 ended by itself (Error), and nobody had told it to end"
    assert "minReadySeconds" in first.hint


@pytest.mark.parametrize(
    ("restarted_s", "code"),
    [(106.3, "CONTAINER_ENDED"), (107.9, "CONTAINER_ENDED"), (136.0, "READINESS_LOST")],
    ids=["as on the lab", "at the next look of the kubelet", "ended by liveness, later"],
)
def test_a_probe_may_tell_the_end_of_a_container_before_the_kubelet_does(restarted_s: float, code: str) -> None:
    story = Story().fault("container-stop", of="Pod/shop/another")
    for at_s, ready, restarts in ((90.0, True, 0), (106.0, False, 0), (restarted_s, False, 1)):
        story.tell(
            "watch", "Pod/shop/old-1", "modified", at=at_s, uid="uid-old-1", ready=ready, phase="Running", member=True,
            restarts=restarts,
        )  # fmt: skip
    first = ranked(story, failed("availability", "ONE_ENDPOINT", failures=7))[0]
    assert first.code == code
    assert "by itself" not in first.text  # the fault may have ended it: that is asked


def test_why_a_container_cannot_start_is_the_cause_also_where_only_a_fault_waited_for_it() -> None:
    story = Story().fault("deploy-race", until="effect")
    state = {"uid": "uid-new-1", "ready": False, "phase": "Pending", "member": True, "node": "n1"}
    story.tell("watch", "Pod/shop/new-1", "added", at=103.0, **state, reason="ErrImagePull")
    story.tell(
        "fault", "Fault/deploy-race", "not-recovered", at=160.0, start=100.0, outcome=Outcome.FAIL, waited_s=60.0
    )
    state |= {"terminating": True, "reason": "ContainerStatusUnknown"}
    story.tell("watch", "Pod/shop/new-1", "modified", at=190.0, **state)  # the undo took it away
    assert codes_of(ranked(story, failed("fault", "NOT_RECOVERED"))) == ["IMAGE_PULL_BACK_OFF", "NOT_RECOVERED"]


def test_a_pod_that_was_ready_before_the_fault_is_not_said_to_have_been_ready_never() -> None:
    story = Story().fault("process-freeze", until="effect")
    for at_s, ready in ((90.0, True), (103.0, False)):
        story.tell(
            "watch", "Pod/shop/old-1", "modified", at=at_s, uid="uid-old-1", ready=ready, phase="Running", member=True,
            node="n1",
        )  # fmt: skip
    story.tell(
        "fault", "Fault/process-freeze", "not-recovered", at=160.0, start=100.0, outcome=Outcome.FAIL, waited_s=60.0
    )
    first = ranked(kept_state(story, "old-1", waiting="", restarts=0), failed("fault", "NOT_RECOVERED"))[0]
    assert first.code == "READINESS_LOST"
    assert first.text == "old-1 lost its readiness, and was Running and not Ready at the end"
    assert first.supports == ("old-1/web: running, not ready",)


def test_a_pod_that_was_ready_after_it_was_given_up_was_late() -> None:
    story = stuck_release()
    story.tell(
        "watch", "Pod/shop/new-1", "modified", at=163.0, uid="uid-new-1", ready=True, phase="Running", member=True
    )
    first = ranked(story, failed("release", "PROGRESS_DEADLINE_EXCEEDED"))[0]
    assert first.code == "POD_READY_LATE"
    assert first.text == "new-1 was Ready only 62.0 s after it was made, when nobody waited any more"


def kept_state(story: Story, pod: str = "new-1", **data: object) -> Story:
    return story.tell("kept", f"Pod/shop/{pod}", "state", at=161.0, container="web", **data)


def kept_event(story: Story, of: str, reason: str, message: str) -> Story:
    said = {"object": of, "reason": reason, "warning": True, "count": 4, "message": message}
    return story.tell("kept", "Events/shop", "events", at=161.0, file="podevents-1.txt", listed=1, seen=[said])


def test_the_pod_that_kept_a_rollout_is_quoted_as_evidence() -> None:
    story = kept_state(stuck_release(), waiting="", restarts=0)
    story = kept_event(story, "Pod/new-1", "Unhealthy", "Readiness probe failed: HTTP 503")
    story.tell("kept", "Pod/shop/new-1", "log", at=161.0, container="web", file="podlog-01-x.log", tail=["a", "no db"])
    first = ranked(story, failed("release", "PROGRESS_DEADLINE_EXCEEDED"))[0]
    assert first.code == "POD_NEVER_READY"
    assert first.supports == (
        "new-1/web: running, not ready",
        'Kubernetes says Unhealthy of Pod/new-1, 4 times: "Readiness probe failed: HTTP 503"',
        'the log of new-1/web ends: "no db"',
    )


def test_a_container_that_was_killed_for_its_memory_comes_before_the_crash_loop() -> None:
    story = kept_state(stuck_release(), waiting="CrashLoopBackOff", ended="OOMKilled", exit_code=137, restarts=3)
    causes = ranked(story, failed("release", "CRASH_LOOP_BACK_OFF"))
    assert codes_of(causes) == ["OUT_OF_MEMORY", "CRASH_LOOP_BACK_OFF"]
    assert "exit code 137 (OOMKilled, SIGKILL)" in causes[1].supports[0]


def test_a_kill_of_another_day_is_no_cause() -> None:
    story = Story().tell("watch", "Pod/shop/old-1", "added", at=1.0, uid="o", ready=True, restarts=3, initial=True)
    story = kept_state(story, "old-1", ended="OOMKilled", exit_code=137, restarts=3)
    causes = ranked(story, failed("release", "CRASH_LOOP_BACK_OFF"))
    assert codes_of(causes) == ["CRASH_LOOP_BACK_OFF"]


def test_a_volume_that_is_not_mounted_is_named_and_only_where_the_container_waits_for_it() -> None:
    for waiting, first in (("ContainerCreating", "VOLUME_NOT_MOUNTED"), ("", "POD_NEVER_READY")):
        story = kept_state(stuck_release(), waiting=waiting)
        story = kept_event(story, "Pod/new-1", "FailedMount", 'configmap "x" not found')
        assert ranked(story, failed("release", "PROGRESS_DEADLINE_EXCEEDED"))[0].code == first


def test_a_replicaset_that_cannot_make_pods_is_named() -> None:
    story = Story().release_started().tell(
        "watch", "ReplicaSet/shop/web-b", "modified", at=102.0, uid="b", failure="FailedCreate"
    )  # fmt: skip
    story = kept_event(story, "ReplicaSet/web-b", "FailedCreate", "exceeded quota")
    first = ranked(story, failed("release", "PROGRESS_DEADLINE_EXCEEDED"))[0]
    assert first.code == "PODS_NOT_CREATED"
    assert first.supports == ('Kubernetes says FailedCreate of ReplicaSet/web-b, 4 times: "exceeded quota"',)


def test_a_message_that_reads_like_a_cause_decides_nothing() -> None:
    story = kept_state(stuck_release(), waiting="")
    story = kept_event(story, "Pod/new-1", "Pulled", "OOMKilled FailedMount FailedCreate")
    first = ranked(story, failed("release", "PROGRESS_DEADLINE_EXCEEDED"))[0]
    assert first.code == "POD_NEVER_READY"
    assert not any("OOMKilled" in said for said in first.supports)


def test_a_pod_that_was_evicted_once_is_none_that_kept_the_recovery() -> None:
    story = Story().tell(
        "watch", "Pod/shop/evicted", "added", at=1.0, uid="e", ready=False, phase="Failed", reason="Evicted",
        member=True, node="n1", initial=True,
    ).fault(until="effect")  # fmt: skip
    story.tell("fault", "Fault/pod-delete", "not-recovered", at=160.0, start=100.0, outcome=Outcome.FAIL, waited_s=60.0)
    assert codes_of(ranked(story, failed("fault", "NOT_RECOVERED"))) == ["NOT_RECOVERED"]


def test_who_else_is_in_the_service_is_no_reason_why_an_old_pod_stays() -> None:
    causes = ranked(Story(), failed("rollout", "OTHERS_IN_SERVICE"), failed("release", "ORPHANED"))
    assert codes_of(causes) == ["ORPHANED"]
    assert codes_of(ranked(Story(), failed("version", "OTHERS_IN_SERVICE"))) == ["OTHERS_IN_SERVICE"]


def test_what_does_not_run_comes_before_a_promise_about_the_way() -> None:
    causes = ranked(Story(), failed("pipeline", "MORE_THAN_THE_TAG"), failed("pipeline", "TAG_DOES_NOT_RUN"))
    assert codes_of(causes) == ["TAG_DOES_NOT_RUN", "MORE_THAN_THE_TAG"]
