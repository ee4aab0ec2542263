"""One small target file for all tests that need one; each says only what differs."""

from __future__ import annotations


def target_toml(
    *, context: str = "staging", kubeconfig: str = "kubeconfig", git_url: str = "http://127.0.0.1:9/env.git",
    overlay: str = "overlays/dev", base_url: str = "http://127.0.0.1:9", load_host: str = "",
) -> str:  # fmt: skip
    """The text. It ends inside [fences], so that a test can add tables; without `kubeconfig` it names none."""
    lines = [
        'name = "shop"', "[cluster]", f'context = "{context}"', f'kubeconfig = "{kubeconfig}"' if kubeconfig else "",
        'namespace = "shop"', 'deployment = "web"', 'service = "web"', "[argocd]", 'application = "shop"',
        "[env_repo]", f'url = "{git_url}"', f'overlay = "{overlay}"', 'image = "registry.example.com/web"',
        "[app]", f'base_url = "{base_url}"',
        "[fences]", 'namespaces = ["shop"]', f'load_hosts = ["{load_host}"]' if load_host else "",
    ]  # fmt: skip
    return "\n".join(line for line in lines if line) + "\n"
