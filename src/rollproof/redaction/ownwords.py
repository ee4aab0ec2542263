"""Words that are not secrets: the vocabulary of facts and plans, and common parts of secrets. Pure."""

from __future__ import annotations

import re

__all__ = ["COMMON_WORDS", "OWN_WORDS"]

# The vocabulary of events, plans and verdicts: our words, and those of Kubernetes and Argo CD that checkers read.
# tests/unit/redaction/test_redaction.py holds this against the code and the stored histories.
_OWN = """
true false null none nan infinity yes ok fail failed failure failures unknown pass inconclusive skipped
act added after after_restored all annotations answered apiversion app application applied applying apply applications
args asked attempts automated automated_off availability available baseline before begin blind_s body calibrated cap_s
cause change changed check checked checkers classes clean clock clusterip clusterips code commit committed
compared_to_spec comparison_failed complete conditions configmap container containers control controller_away
cooldown_s count cpu_s data database deadline_exceeded declared delete delete-configmap delete-service deleted deleting
deployment deployment_uid deployments detected done down dispatched drift drill drills dropped early end end_ns
endpointslice engine env env_repo_head environment error errors event events evidence exit_code expected factor fair
field findings finished finished_at fixed_delay_s forward found forced from gap gap_s generation harness heal healed
healthy health held host http https ignored ignored_difference image image_id images info ingress ingress_answers
in_front initial initiated_by injected interfered internaltrafficpolicy interrupted ipfamilies ipfamilypolicy judge
keep kept key kind kubernetes known labels lanes last_seen last_sync_failed latest lease lease-release left leg legs
limits line lines load load_soundness lock log log-unreadable look_at lost manager masked matched median_ms memory
message metadata mode model modified monotonic_ns monotonic_s name namespace new new_sha never node not-detected
not-healed not-needed not-reachable not-synced not_tracked numbers object observed observed_generation old old-gone
old_pods old_sha on-pass always open operation operation_pending operation_revision operation_running original
other-controller ours outcome outcomes parent passed path paused phase plan planned planning pod pods port ports
production progress proof proven proposed protocol push pushed quiet quiet_s rate_per_s read read-only readiness ready
ready_since reason recovery refresh refresh-asked refresh_pending refreshed release remaining_s replicas replicaset
report requests resource_version resources restart restarts restored result retried retried_ids revert reverted reverts
revision role rollback rolled-out rollout rollproof route rule run run_id sandbox scheduling schema seen selector
self-heal self-test self_heal self_heal_off seq serving service service-selector services sessionaffinity settle shas
skip_reconcile source spec spec_replicas stage start_ns start_s started started_at status stayed steady stopped subject
succeeded superseded sync sync_revision sync_status sync_window synced tags target target_kind targetport template
template_hash terminating theirs there timeline touches type uid uids undeclared-annotation unfair undo undo-check
undone unfinished updated upstreams url value verdict verdicts version versions via void void-patch wait waited_s wall
wall_s watch watch_delay_ms watched_s watches what unknown why why_unfair window_denied written zero-downtime
argocd argocd-controller connect connect.timeout dns tls read.timeout body.wrong client.stalled keepalive-get
keepalive-post new-get slow kubectl-edit kubectl-patch cluster containercreating containerstatusunknown
crashloopbackoff deadlineexceeded degraded errimagepull imagepullbackoff missing nothingchanged notcompared orphaned
outofsync overwritten pending progressdeadlineexceeded progressing pushfailed running singlestack syncfailed
wrongversion
affects_traffic effect effect_within_s fault injecting limit_s no-effect not-recovered not_before_s recovered
watched readable member in_service owner_uid owner
completed evicted terminated waiting forbidden taints unschedulable margin_s
supervisor kubelet healer_gone nobody mounted-file new-pods in-part no-running-pod
gate nothing held_s
renewal replaced not-serving restarted crowded renew_pods followed
abort aborted abort_nodes nodes_away dead dead_s failures lost pods_away control_failed
took_s connections-held not-restarted
probe-path pull-secret ingress-rule http-route-rule hpa-max network-policy delete-ingress delete-http-route delete-hpa
delete-deployment
bad bad_release bad-release config_missing crash_loop image_missing line_number never_ready wrong_platform wrong_version
createcontainerconfigerror createcontainererror errimageneverpull invalidimagename runcontainererror
absent account address advised allowed anybody appproject architecture automount autorestart autoscalers budgets
checksums chosen configmaps configs delay_s disruptionbudgets duration egress endpoints entry escalates evictions fields
finding grace_s group hard history_limit host_ports httpget immutable liveness managers manual max_surge
max_unavailable maximum metrics min_available min_ready_s minimum networkpolicies no-answer node_selector nodes
non_root not-named options period_s policies posture pre_stop pre_stop_s privileged programs progress_deadline_s
prune pull_policy pull_secrets replicas_declared restart_age_s retries scalers schedule serviceaccount sound spread
startup strategy tcpsocket timeout_s tries unclear unread unready_too wide windows without_secret zone
entries grave level place scan_file scanfile scanned text tool total
jobs runs job period_s finished_s started_s oldest_s clock_s booked settled unreadable
scaling autoscaler autoscaling raised lowered scaled-up scaled-down not-scaled-up not-ready floor not-floor current
desired disabled use min_replicas max_replicas up_window_s window_s tolerance of_resources replicas_by up_within_s
down_within_s ready_within_s horizontalpodautoscaler
secrets searched compared placeholders texts names hits unsearchable cut size_bytes planted planted_found checked
actions attempt author author_email behind carries committed_s committer committer_email completed_s conclusion config
deployed deployed_s digest ended_s env-commit env-repo is_index login looked_s made_s number operation_carries
others parents parts pipeline platform platforms registry scan tag_before tested wanted
state waiting ended file previous listed tail events oomkilled
artifact digests kind platform results scan-report severity unknown unranked low medium high critical container_image
filesystem repository
"""
OWN_WORDS = frozenset(_OWN.split())

# A piece of a secret that has nothing besides these is taken for ordinary text.
COMMON_WORDS = re.compile(
    r"(?i)(?:rollproof|password|passwd|secret|token|username|argoproj|argocd|kubernetes|deployment|replicaset|configmap"
    r"|endpointslice|application|controller|container|namespace|cluster|service|account|staging|production|development"
    r"|rollback|rollout|release|version|revision|replicas|restart|resource|request|response|available|connection"
    r"|authorization|basic|bearer|localhost|example|default|overlays?|kustomiz\w*|registry|image|github|gitlab"
    r"|bitbucket|sandbox|keepalive|drift|health|ready|status|https?|pipeline|deploy|admin|internal)s?|https?://|www\."
)
