"""Posturewords: the words of facts about a look at live objects; `core.posturefacts` reads the facts themselves.

Apart from it, because every run is held against these words, and the views of what was seen are many classes.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["SOURCE", "PostureWord", "Topic", "Unread"]

SOURCE = "posture"


class PostureWord(StrEnum):
    """What came of a question."""

    READ = "read"
    UNREAD = "unread"


class Unread(StrEnum):
    """Why a question has no answer."""

    FORBIDDEN = "forbidden"  # 401 or 403: the right to read it is missing
    ABSENT = "absent"  # it, or its kind, does not exist in this cluster
    NO_ANSWER = "no-answer"  # the API server, or an answer that nobody can work with
    NOT_NAMED = "not-named"  # the target file does not say where to look


class Topic(StrEnum):
    """What is asked of a cluster; the subject of the fact begins with it, `Deployment/shop/web`."""

    DEPLOYMENT = "Deployment"
    PODS = "Pods"
    NODES = "Nodes"
    ENTRY = "Entry"  # the pods of the ingress
    DATABASE = "Database"  # the pods of the app's database
    SERVICE = "Service"
    ENDPOINTS = "Endpoints"
    SCALERS = "Autoscalers"
    BUDGETS = "DisruptionBudgets"
    EVICTIONS = "Evictions"  # dry runs: nothing is evicted
    POLICIES = "NetworkPolicies"
    CONFIGS = "ConfigMaps"
    ACCOUNT = "ServiceAccount"
    EVENTS = "Events"
    APPLICATION = "Application"
    PROJECT = "AppProject"
    SCAN = "ScanFile"
    REGISTRY = "Registry"  # a HEAD of the image's manifest, with the pull secret and without
