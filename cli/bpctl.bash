# SPDX-License-Identifier: Apache-2.0
# bash completion for bpctl: asks the daemon for its commands, and for workflows, jobs, workers and plugins by name.

_bpctl_names() # command, member
{
    bpctl --json $1 2>/dev/null | sed -n "s/^ *\"$2\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p"
}

_bpctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]} second=${COMP_WORDS[2]}
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "$(_bpctl_names help name | cut -d' ' -f1 | sort -u) submit migrate simulate --json --socket --help" -- "$cur"))
        return
    fi
    case "$first $second" in
    "submit "*)
        if [ "$COMP_CWORD" = 2 ]; then
            COMPREPLY=($(compgen -W "$(_bpctl_names workflows workflow)" -- "$cur"))
        else
            COMPREPLY=($(compgen -f -W "--param --params --priority --key --tenant --wait --output --effect" -- "$cur"))
        fi
        return
        ;;
    "plugin canary" | "plugin canaries")
        if [ "$COMP_CWORD" = 3 ]; then
            COMPREPLY=($(compgen -W "$(_bpctl_names workflows workflow)" -- "$cur"))
        else
            COMPREPLY=($(compgen -f -W "10% promote abort --file --jobs --json" -- "$cur"))
        fi
        return
        ;;
    "plugin show" | "plugin reload" | "plugin retire")
        COMPREPLY=($(compgen -W "$(_bpctl_names plugin name)" -- "$cur"))
        return
        ;;
    "migrate "*)
        COMPREPLY=($(compgen -W "central pools --config --set --plugins-dir --dry-run --status --json" -- "$cur"))
        return
        ;;
    "simulate "*)
        COMPREPLY=($(compgen -f -W "--trace --history --live --policy --seeds --grid --type --shortage --svg --json --boot --max" -- "$cur"))
        return
        ;;
    "plugin load" | "plugin inspect" | "plugin sign") COMPREPLY=($(compgen -f -- "$cur")); return ;;
    "plugin new") COMPREPLY=($(compgen -W "workflow queue cloud --dir" -- "$cur")); return ;;
    "plugin check") COMPREPLY=($(compgen -f -W "--sample --params --settings --timeout --no-run --json" -- "$cur")); return ;;
    "workflow check") COMPREPLY=($(compgen -f -W "--plugins-dir --json" -- "$cur")); return ;;
    "worker "?*)
        if [ "$COMP_CWORD" = 3 ]; then
            COMPREPLY=($(compgen -W "$(_bpctl_names workers worker_id)" -- "$cur"))
            return
        fi
        ;;
    "workflow "* | "scale hold" | "scale release" | "scale limit" | "scale pause" | "scale resume" | "scale shadow" | "scale adopt" | "scale disown" | "fleet inject")
        COMPREPLY=($(compgen -W "$(_bpctl_names workflows workflow)" -- "$cur"))
        return
        ;;
    esac
    local subs
    subs=$(_bpctl_names help name | sed -n "s/^$first \(.*\)$/\1/p")
    case $first in
    scale | fleet) subs="$subs $(_bpctl_names workflows workflow)" ;;
    worker) subs="approve revoke drain undrain remove" ;;
    plugin) subs="$subs new inspect check sign keygen" ;;
    events) subs="--follow --last job.* plugin.* scale.decided" ;;
    jobs) subs="--workflow --tenant --status --limit --before" ;;
    esac
    COMPREPLY=($(compgen -W "$subs --json" -- "$cur"))
}
complete -F _bpctl bpctl
