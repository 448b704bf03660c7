# table.awk - joins targets, asyncio's figures and calm's into one table
#
# A target is a figure, or a factor and what it is taken of: floor or pandas,
# whose figure stands in asyncio's column.

function shown(figure) {
    if (figure == "" || figure == "-")
        return "-"
    return sprintf(figure + 0 < 100 ? "%.3g" : "%.0f", figure)
}

function target_of(text, floor, other,    words) {
    split(text, words, " ")
    if (words[1] == "-")
        return ""
    if (words[2] == "floor")
        return floor == "-" ? "" : words[1] * floor
    if (words[2] == "pandas")
        return other == "" ? "" : words[1] * other
    return words[1] + 0
}

FILENAME ~ /targets.tsv$/ && !/^#/ {
    text[$1] = $2; unit[$1] = $3; relation[$1] = $4; target[$1] = $5
}
FILENAME ~ /asyncio.tsv$/ { asyncio[$1] = $2 }
FILENAME ~ /calm.tsv$/ {
    if (!printed++)
        printf "%-32s %-5s %9s %9s %6s %9s %12s\n", "", "", "floor", "calm",
            "ratio", "asyncio", "target"
    name = $1; floor = $2; calm = $3
    ratio = floor == "-" || calm == "-" ? "-" : sprintf("%.2f", calm / floor)
    aim = target_of(target[name], floor, asyncio[name])
    good = aim == "" || (relation[name] == "<=" ? calm <= aim : calm >= aim)
    printf "%-32s %-5s %9s %9s %6s %9s %2s %9s%s\n", text[name], unit[name],
        shown(floor), shown(calm), ratio, shown(asyncio[name]),
        relation[name], shown(aim), good ? "" : " !"
    if (!good)
        missed[++misses] = sprintf("  %s: %s %s, not %s %s", text[name],
            shown(calm), unit[name], relation[name], shown(aim))
}
END {
    print ""
    if (!misses)
        print "Every target was met."
    else
        print misses " missed:"
    for (i = 1; i <= misses; i++)
        print missed[i]
}
