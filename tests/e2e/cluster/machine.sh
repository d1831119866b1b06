#!/bin/bash
# First process of the cluster's own machine: prepares its mounts and its network, then becomes the
# program that only takes in ended processes. Started by unshare with fresh namespaces for mounts,
# network and processes: when it ends, the kernel ends and removes everything in them.
#   machine.sh STATE-FOLDER REAPER NODE-ADDRESS
set -euo pipefail

state=$1 reaper=$2 address=$3

# What the node writes below /var and /run stays in the state folder, or in memory.
mkdir -p "$state"/var/{upper,work} "$state"/kubelet "$state"/volumes
mount -t overlay overlay -o "lowerdir=/var,upperdir=$state/var/upper,workdir=$state/var/work" /var
mkdir -p /var/lib/kubelet /var/lib/recio-volumes
mount --bind "$state/kubelet" /var/lib/kubelet
mount --bind "$state/volumes" /var/lib/recio-volumes
mount -t tmpfs -o mode=0755 tmpfs /run
# Kubelet shares mounts with containers; the group ends at this namespace.
mount --make-rshared /

# The node's address is on one end of a cable whose other end leads nowhere: there is a default
# route, which Kubernetes wants, and no packet leaves.
ip link set lo up
ip link add node0 type veth peer name nowhere0
ip link set nowhere0 up
ip address add "$address/24" dev node0
ip link set node0 up
ip route add default via "${address%.*}.254" dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

touch /run/machine-is-ready
exec "$reaper"
