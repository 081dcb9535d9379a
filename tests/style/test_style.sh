# test_style.sh - the measurable part of the style.
"$KILN_HOME/tools/check-style"
