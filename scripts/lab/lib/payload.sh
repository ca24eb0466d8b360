# shellcheck shell=bash
# What one run carries into its lab: the files that COMMAND and the options name, at the same paths as outside, with the
# shared libraries of every ELF file among them; the command; and the lab's settings.

payload_is_elf() {
  local magic=''
  [[ -f $1 && -r $1 ]] && LC_ALL=C IFS= read -r -d '' -n 4 magic <"$1"
  [[ $magic == $'\x7fELF' ]]
}

# payload_libraries ELF...: prints the loader and the shared libraries they need, at the paths the loader looks for them.
payload_libraries() {
  # ldd fails on static and foreign files, which need nothing.
  { ldd "$@" 2>/dev/null || true; } | sed -n -e 's/.* => \(\/[^ ]*\) (0x.*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p' | sort -u
}

# payload_copy STAGE SOURCE [DESTINATION]: a file's content (links are followed), or a whole directory (its links are kept).
payload_copy() {
  local source=$2 dest=$1${3:-$2}
  mkdir -p "$(dirname "$dest")"
  if [[ -d $source ]]; then
    mkdir -p "$dest"
    cp -a "$source/." "$dest/"
  else
    cp -L --preserve=mode "$source" "$dest"
  fi
}

# payload_add STAGE SOURCE [DESTINATION]: payload_copy, and all that SOURCE needs to run.
payload_add() {
  local stage=$1 source=$2 file elves=() interpreter
  payload_copy "$@" || lab_die "cannot carry '$source' into the lab"
  while IFS= read -r -d '' file; do
    if payload_is_elf "$file"; then
      elves+=("$file")
    elif [[ -x $file ]] && interpreter=$(payload_interpreter "$file") && [[ ! -e $stage$interpreter ]]; then
      payload_add "$stage" "$interpreter"
    fi
  done < <(find -L "$source" -type f -print0 2>/dev/null)
  ((${#elves[@]} == 0)) && return
  while IFS= read -r file; do
    [[ -e $stage$file ]] || payload_copy "$stage" "$file"
  done < <(payload_libraries "${elves[@]}")
}

# payload_interpreter SCRIPT: the program its "#!" line names, unless the lab's own busybox provides it.
payload_interpreter() {
  local line='' words
  LC_ALL=C IFS= read -r line 2>/dev/null <"$1" || true
  [[ $line == '#!'* ]] || return 1
  read -ra words <<<"${line#\#!}"
  [[ ${words[0]} == */env ]] && words=("${words[@]:1}")
  payload_find_program "${words[0]##*/}"
}

# payload_find_program NAME: its path outside; fails if the lab has it as a busybox applet, or nobody has it.
payload_find_program() {
  [[ $'\n'$(busybox --list)$'\n' == *$'\n'"$1"$'\n'* ]] && return 1
  type -P "$1"
}

# payload_package STAGE PACKAGE: an installed Debian package's files, without its documentation.
payload_package() {
  local stage=$1 package=$2 file files
  files=$(dpkg-query -L "$package" 2>/dev/null) || lab_die "--package $package: it is not installed here"
  while IFS= read -r file; do
    case $file in
      /usr/share/doc/* | /usr/share/man/* | /usr/share/locale/* | /usr/share/lintian/* | /usr/share/bug/*) continue ;;
    esac
    if [[ -L $file && -d $file ]]; then
      [[ -e $stage$file ]] || { mkdir -p "$(dirname "$stage$file")" && cp -a "$file" "$stage$file"; }
    elif [[ -f $file ]]; then
      payload_add "$stage" "$file"
    fi
  done <<<"$files"
}

# payload_command STAGE COMMAND...: carries the program and every argument that names a file, and writes /.lab/command.
payload_command() {
  local stage=$1 program=$2 path word
  shift
  if [[ $program != */* ]] && path=$(payload_find_program "$program"); then
    program=$path
  fi
  shift
  for word in "$program" "$@"; do
    if [[ -f $word && -r $word ]]; then
      payload_add "$stage" "$word" "$(realpath -s "$word")"
    fi
  done
  mkdir -p "$stage/.lab" "$stage$PWD"
  printf 'exec %s\n' "$(lab_quote "$program" "$@")" >"$stage/.lab/command"
}

# payload_make ARCHIVE CONFIG-LINE... -- COMMAND...: writes this run's archive; reads LAB_FILES and LAB_PACKAGES.
payload_make() {
  local archive=$1 stage=$1.d item config=()
  shift
  while [[ $1 != -- ]]; do
    config+=("$1")
    shift
  done
  shift
  mkdir "$stage"
  initramfs_skeleton "$stage"
  payload_command "$stage" "$@"
  for item in "${LAB_PACKAGES[@]}"; do
    payload_package "$stage" "$item"
  done
  for item in "${LAB_FILES[@]}"; do
    payload_option_file "$stage" "$item"
  done
  printf '%s\n' "${config[@]}" "LAB_CWD=$(lab_quote "$PWD")" >"$stage/.lab/config"
  initramfs_pack "$stage" >"$archive"
  rm -rf "$stage"
}

payload_option_file() {  # payload_option_file STAGE SRC[:DEST]
  local stage=$1 source=${2%%:*} dest=''
  [[ $2 == *:* ]] && dest=${2#*:}
  [[ -e $source ]] || lab_die "--file $2: there is no '$source'"
  payload_add "$stage" "$source" "$(realpath -s "${dest:-$source}")"
}
