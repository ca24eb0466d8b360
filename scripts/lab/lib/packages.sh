# shellcheck shell=bash
# Debian packages newer than the machine's own, for the labs alone: unpacked into the cache. Nothing is installed and the
# machine's apt set-up stays as it is: a private source list names the one suite that has them.

# The suite of this Debian that carries a new enough kernel and emulator. $1 says what is wanted, $2 what to do elsewhere.
packages_suite() {
  local ID='' VERSION_CODENAME=''
  # shellcheck disable=SC1091
  . /etc/os-release
  case $ID-$VERSION_CODENAME in
    debian-bookworm) echo bookworm-backports ;;
    debian-trixie) echo trixie ;;
    *) lab_die "no $1 for the labs on '${ID:-unknown} ${VERSION_CODENAME:-}': they take it from Debian 12 or 13. $2" ;;
  esac
}

# The mirror this machine installs Debian from. apt itself reads its sources, in either of their formats.
packages_mirror() {
  local codename=${1%-backports} uri
  uri=$(apt-get update --print-uris 2>/dev/null | sed -n "s,^'\(.*\)/dists/$codename/InRelease'.*,\1,p" | head -n 1)
  [[ $uri ]] || lab_die "no apt source on this machine names the suite '$codename' (see apt-get update --print-uris)"
  printf '%s\n' "$uri"
}

# packages_open SUITE DIR: fetches the suite's list of packages into DIR and sets PACKAGES_APT, the options that make apt use it.
packages_open() {
  local suite=$1 dir=$2 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
  lab_need apt-get:apt dpkg-deb:dpkg
  mirror=$(packages_mirror "$suite")
  [[ -e $keyring ]] && signed="[signed-by=$keyring] "
  mkdir -p "$dir"/lists/partial "$dir"/cache/archives/partial
  echo "deb $signed$mirror $suite main" >"$dir/suite.list"
  PACKAGES_APT=(-o "Dir::Etc::SourceList=$dir/suite.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User= -q)
  lab_say "fetching the list of packages of $suite"
  apt-get "${PACKAGES_APT[@]}" update >"$dir/log" 2>&1 ||
    { tail -n 20 "$dir/log" >&2; lab_die "apt-get update failed for $suite"; }
}

# packages_download SUITE DIR PACKAGE...: leaves the packages in DIR, from SUITE even where the machine's own are preferred.
# REQUIRES: packages_open SUITE DIR.
packages_download() {
  local suite=$1 dir=$2 package
  shift 2
  for package; do
    (cd "$dir" && apt-get "${PACKAGES_APT[@]}" download "$package/$suite" >>log 2>&1) ||
      { tail -n 20 "$dir/log" >&2; lab_die "could not download $package"; }
  done
}

# packages_once DIR COMMAND...: fills DIR by COMMAND unless it is there; of several runs at once, one does it.
packages_once() {
  local dir=$1
  shift
  [[ -e $dir ]] && return
  mkdir -p "$(dirname "$dir")"
  (
    flock 9
    [[ -e $dir ]] || "$@"
  ) 9>"$dir.lock"
}
