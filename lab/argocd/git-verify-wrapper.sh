#!/bin/sh
# The repo-server asks this, by name, whether a commit or an annotated tag is signed, and reads git's own words. It asks
# even where signatures are off (ARGOCD_GPG_ENABLED=false). "Not signed, or badly" (1) is an answer, and no failure.
revision=${1:?usage: git-verify-wrapper.sh REVISION}
kind=commit
if [ "$(git cat-file -t "$revision" 2>/dev/null)" = tag ]; then kind=tag; fi
said=$(git "verify-$kind" "$revision" 2>&1)
code=$?
if [ "$code" -gt 1 ]; then
	printf '%s\n' "$said" >&2
	exit "$code"
fi
printf '%s\n' "$said"
