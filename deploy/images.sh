#!/bin/sh
# Carries the images of deploy/images.txt to a cluster that reaches no registry outside. Plain sh, with the tools that are there.
set -eu

usage() {
  cat <<'TEXT'
Usage: images.sh save ARCHIVE [--images FILE]
       images.sh load ARCHIVE [--images FILE] [--registry HOST[:PORT][/PATH]]

save   pulls each image of the list and writes all of them into one archive
load   gives the images of an archive to this machine, or with --registry to a registry

--images FILE    one image a line; images.txt beside this script unless given
--tool TOOL      docker, podman, nerdctl, ctr or skopeo; the first that is here unless given

With --registry, install with these images: docs/kubernetes.md, Offline.
TEXT
}

fail() {
  echo "images.sh: $*" >&2
  exit "${code:-1}"
}

refuse() {
  code=2
  fail "$* (images.sh --help tells more)"
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
list=$here/images.txt
action=''
archive=''
registry=''
tool=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --images | --registry | --tool)
      [ $# -ge 2 ] || refuse "$1: expected a value"
      case $1 in
        --images) list=$2 ;;
        --registry) registry=${2%/} ;;
        --tool) tool=$2 ;;
      esac
      shift
      ;;
    -*) refuse "$1: there is no such option" ;;
    *)
      if [ -z "$action" ]; then action=$1
      elif [ -z "$archive" ]; then archive=$1
      else refuse "$1: expected one archive"
      fi
      ;;
  esac
  shift
done

case $action in
  save | load) ;;
  '') refuse 'expected save or load' ;;
  *) refuse "$action: expected save or load" ;;
esac
[ -n "$archive" ] || refuse "$action: expected the path of an archive"
[ "$action" = load ] || [ -z "$registry" ] || refuse '--registry: only load takes it'
[ -r "$list" ] || fail "$list: the list of images cannot be read"
images=$(grep -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' "$list" || true)
[ -n "$images" ] || fail "$list: the list names no image"

have() { command -v "$1" >/dev/null 2>&1; }

if [ -z "$tool" ]; then
  for one in docker podman nerdctl ctr skopeo; do
    if have "$one"; then tool=$one; break; fi
  done
  [ -n "$tool" ] || fail 'none of docker, podman, nerdctl, ctr and skopeo is on this machine'
fi
case $tool in
  docker | podman | nerdctl | ctr | skopeo) have "$tool" || fail "$tool is not on this machine" ;;
  *) refuse "--tool: $tool: expected docker, podman, nerdctl, ctr or skopeo" ;;
esac

# containerd knows whole names only: curlew:1 is docker.io/library/curlew:1 there.
whole() {
  case $1 in
    */*) case ${1%%/*} in *.* | *:* | localhost) echo "$1" ;; *) echo "docker.io/$1" ;; esac ;;
    *) echo "docker.io/library/$1" ;;
  esac
}

# What stays of a name in another registry: no host, and not the library of Docker Hub.
elsewhere() {
  name=$(whole "$1")
  name=${name#*/}
  echo "$registry/${name#library/}"
}

# skopeo writes one image a file, so its archive is a tar of them; every other tool's is its own.
parts=''
partial=''
trap 'rm -rf ${parts:+"$parts"} ${partial:+"$partial"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
scratch() { parts=$(mktemp -d) || fail 'no temporary directory can be made'; }
file_of() { echo "$parts/$(echo "$1" | tr '/:@' '___').tar"; }

save() {
  # Beside its place first: a half of an archive never stands under its name.
  partial=$archive.partial
  case $tool in
    docker | podman | nerdctl)
      # A pull that fails is no failure where the image is here: it may have been built here.
      for image in $images; do
        "$tool" pull "$image" || "$tool" image inspect "$image" >/dev/null 2>&1 || fail "$image could be neither pulled nor found here"
      done
      # shellcheck disable=SC2086 # one argument an image
      if [ "$tool" = podman ]; then podman save --multi-image-archive -o "$partial" $images; else "$tool" save -o "$partial" $images; fi || fail "$tool could not write $partial"
      ;;
    ctr)
      names=''
      for image in $images; do
        name=$(whole "$image")
        ctr -n k8s.io images pull "$name" || ctr -n k8s.io images ls -q | grep -qxF "$name" || fail "$image could be neither pulled nor found here"
        names="$names $name"
      done
      # shellcheck disable=SC2086
      ctr -n k8s.io images export "$partial" $names || fail "ctr could not write $partial"
      ;;
    skopeo)
      scratch
      for image in $images; do
        skopeo copy "docker://$image" "docker-archive:$(file_of "$image"):$image" || fail "$image could not be pulled"
      done
      tar -C "$parts" -cf "$partial" . || fail "tar could not write $partial"
      ;;
  esac
  mv "$partial" "$archive"
  echo "saved to $archive:" $images
}

load() {
  [ -r "$archive" ] || fail "$archive: the archive cannot be read"
  case $tool in
    docker | podman | nerdctl)
      set --
      [ "$tool" != nerdctl ] || set -- --namespace k8s.io
      "$tool" "$@" load -i "$archive" || fail "$tool could not load $archive"
      [ -n "$registry" ] || return 0
      for image in $images; do
        "$tool" "$@" tag "$image" "$(elsewhere "$image")" && "$tool" "$@" push "$(elsewhere "$image")" || fail "$image could not be pushed to $registry"
      done
      ;;
    ctr)
      ctr -n k8s.io images import "$archive" || fail "ctr could not load $archive"
      [ -n "$registry" ] || return 0
      for image in $images; do
        ctr -n k8s.io images tag --force "$(whole "$image")" "$(elsewhere "$image")" && ctr -n k8s.io images push "$(elsewhere "$image")" || fail "$image could not be pushed to $registry"
      done
      ;;
    skopeo)
      [ -n "$registry" ] || fail 'skopeo has no place of its own for images: name one with --registry'
      scratch
      tar -C "$parts" -xf "$archive" || fail "tar could not read $archive"
      for image in $images; do
        [ -r "$(file_of "$image")" ] || fail "$archive has no $image: was it saved by skopeo?"
        skopeo copy "docker-archive:$(file_of "$image")" "docker://$(elsewhere "$image")" || fail "$image could not be pushed to $registry"
      done
      ;;
  esac
}

"$action"
if [ "$action" = load ]; then
  if [ -n "$registry" ]; then for image in $images; do echo "pushed $(elsewhere "$image")"; done; else echo "loaded from $archive:" $images; fi
fi
