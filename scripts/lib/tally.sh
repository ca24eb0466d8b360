# shellcheck shell=bash
# Counting what ran: sourced by scripts/test. Each step's output goes to a log of its own; its counts are read from there.

TALLY_PASSED=0 TALLY_FAILED=0 TALLY_SKIPPED=0
TALLY_NOTES=() # a line for each failure and each skip

tally_add() { # tally_add NAME PASSED FAILED SKIPPED SECONDS LOG
  TALLY_PASSED=$((TALLY_PASSED + $2)) TALLY_FAILED=$((TALLY_FAILED + $3)) TALLY_SKIPPED=$((TALLY_SKIPPED + $4))
  local mark=ok
  if (($3 > 0)); then mark=FAILED; fi
  printf '  %-34s %5d passed %4d failed %4d skipped %5d s  %s\n' "$1" "$2" "$3" "$4" "$5" "$mark"
  if (($3 > 0)); then TALLY_NOTES+=("FAILED  $1: see $6"); fi
}

# One line for each test that was skipped, with the reason it printed.
tally_skips() { # tally_skips NAME LOG
  local line
  while IFS= read -r line; do
    TALLY_NOTES+=("skipped $1: $line")
  done < <({ grep -A1 -E ': Skipped$' "$2" | grep -vE ': Skipped$|^--$'; sed -n 's/^skip   //p' "$2"; } || true)
}

# The counts in a log of GoogleTest programs and of the guest's usertests, added up: "PASSED FAILED SKIPPED".
tally_counts() { # tally_counts LOG
  awk '
    /^\[  PASSED  \] [0-9]+ tests?\./ { passed += $4 }
    /^\[  SKIPPED \] [0-9]+ tests?, listed below/ { skipped += $4 }
    /^\[  FAILED  \] [0-9]+ tests?, listed below/ { failed += $4 }
    match($0, /usertests: [0-9]+ passed, [0-9]+ failed/) {
      split(substr($0, RSTART, RLENGTH), word, " "); passed += word[2]; failed += word[4]
    }
    match($0, /usertests: [0-9]+ skipped/) { split(substr($0, RSTART, RLENGTH), word, " "); skipped += word[2] }
    /^\[==========\] Running 0 tests/ { failed++ }  # a filter that fits nothing any more
    END { printf "%d %d %d\n", passed, failed, skipped }' "$1"
}

# Judges a finished step: what it counted, and that its status agrees. A step that ran no test has failed, and so has one that
# says all is well with a status that is not the one expected.
tally_judge() { # tally_judge NAME STATUS EXPECTED SECONDS LOG
  local passed failed skipped
  read -r passed failed skipped < <(tally_counts "$5")
  if ((passed + failed + skipped == 0)) || { (($2 != $3)) && ((failed == 0)); }; then failed=$((failed + 1)); fi
  tally_skips "$1" "$5"
  tally_add "$1" "$passed" "$failed" "$skipped" "$4" "$5"
  if ((failed > 0)); then tail -n 25 "$5" | sed 's/^/    | /'; fi
}

# Runs a command that counts its own tests.
tally_tests() { # tally_tests NAME EXPECTED-STATUS COMMAND…
  local name=$1 expected=$2 begin=$SECONDS status=0
  shift 2
  local log=$LOGS/${name//[^a-zA-Z0-9]/-}.log
  "$@" >"$log" 2>&1 </dev/null || status=$?
  tally_judge "$name" "$status" "$expected" $((SECONDS - begin)) "$log"
}

# Runs a command that is one test by itself.
tally_check() { # tally_check NAME COMMAND…
  local name=$1 begin=$SECONDS
  shift
  local log=$LOGS/${name//[^a-zA-Z0-9]/-}.log
  if "$@" >"$log" 2>&1 </dev/null; then
    tally_add "$name" 1 0 0 $((SECONDS - begin)) "$log"
  else
    tally_add "$name" 0 1 0 $((SECONDS - begin)) "$log"
    tail -n 25 "$log" | sed 's/^/    | /'
  fi
}

tally_report() {
  printf '\n'
  if ((${#TALLY_NOTES[@]})); then printf '%s\n' "${TALLY_NOTES[@]}"; fi
  if ((TALLY_PASSED + TALLY_FAILED == 0)); then
    printf 'no test ran: that is a failure\n'
    TALLY_FAILED=1
  fi
  printf '%d passed, %d failed, %d skipped\n' "$TALLY_PASSED" "$TALLY_FAILED" "$TALLY_SKIPPED"
  ((TALLY_FAILED == 0))
}
