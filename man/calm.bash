# calm.bash - completion of the command calm, for bash

# The options of a command.
_calm_options() { # COMMAND
    case $1 in
    predict)
        echo '--model --url --output --features --id --truth --keep --missing
            --batch-size --threads --in-flight --limit --unordered
            --overwrite --force-resume --retry-failed --separator --ragged
            --invalid-utf8 --csv-safe
            --api --template --result-path --concurrency --rate --token-rate
            --timeout --retries --patience --max-failures --header --api-key-file
            --ca-file --unix-socket --model-sha256 --progress --summary
            --verbose --quiet --help'
        ;;
    serve)
        echo '--port --port-file --host --expose --token-file --max-batch
            --max-delay --queue --threads --max-body --connections --drain
            --drill --allow-drill --seed --verbose --quiet --help'
        ;;
    compare)
        echo '--tasks --duration --work --repeat --warmup --url --dir --json --plot
            --help'
        ;;
    *)
        echo '--help'
        ;;
    esac
}

# The words that may follow an option, "-" when it takes what only its user
# knows, nothing when files may follow.
_calm_values() { # OPTION
    case $1 in
    --api) echo 'samples v2 v1 openai' ;;
    --concurrency) echo 'auto' ;;
    compare) echo 'io files http cpu mixed all' ;;
    --progress) echo 'auto always never' ;;
    --ragged) echo 'fail pad skip' ;;
    --invalid-utf8) echo 'fail replace pass' ;;
    --features | --id | --truth | --keep | --missing | --batch-size | \
        --threads | --in-flight | --limit | --separator | --model-sha256 | \
        --url | --result-path | --rate | --token-rate | --timeout | \
        --retries | --patience | --max-failures | --header | --port | --host | \
        --max-batch | --max-delay | --queue | --max-body | --connections | \
        --drain | --drill | --seed | --tasks | --duration | --work | \
        --repeat | --warmup)
        echo '-'
        ;;
    esac
}

_calm() {
    local word=${COMP_WORDS[COMP_CWORD]} previous words
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='predict serve compare doctor --help --version'
    else
        previous=${COMP_WORDS[COMP_CWORD - 1]}
        words=$(_calm_values "$previous")
        [ "$words" != - ] || return
        if [[ $word == -* && (-z $words || $previous != -*) ]]; then
            words=$(_calm_options "${COMP_WORDS[1]}")
        fi
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        compopt -o default
    fi
}
complete -F _calm calm
