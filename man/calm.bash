# calm.bash - completion of the command calm, for bash
_calm() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W \
            'predict doctor --help --version' -- "$word")
        return
    fi
    [ "${COMP_WORDS[1]}" = predict ] || return
    case $before in
    --progress)
        mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word")
        ;;
    --ragged)
        mapfile -t COMPREPLY < <(compgen -W 'fail pad skip' -- "$word")
        ;;
    --invalid-utf8)
        mapfile -t COMPREPLY < <(compgen -W 'fail replace pass' -- "$word")
        ;;
    --features | --id | --truth | --keep | --missing | --batch-size | \
        --threads | --in-flight | --limit | --separator | --model-sha256) ;;
    *)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W '--model --output --features
                --id --truth --keep --missing --batch-size --threads
                --in-flight --limit --unordered --overwrite --separator
                --ragged --invalid-utf8 --csv-safe --model-sha256 --progress
                --summary --verbose --quiet --help' -- "$word")
        else
            compopt -o default
        fi
        ;;
    esac
}
complete -F _calm calm
