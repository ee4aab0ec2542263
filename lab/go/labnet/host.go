package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

const (
	hostRoot   = "/host"
	routeOwner = "77" // the routing protocol number that marks our routes
)

// host runs one of the node's own tools inside the node's root, so that the image needs none.
func host(stdin string, arguments ...string) (string, error) {
	command := exec.Command("/bin/sh", "-c", strings.Join(arguments, " "))
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: hostRoot}
	command.Dir, command.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	command.Stdin = strings.NewReader(stdin)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err
}

// ipMasq stays false: with it ptp rewrites source addresses between nodes, and policies by pod could not match.
const conflist = `{
  "cniVersion": "0.4.0", "name": "labnet", "plugins": [
    {"type": "ptp", "ipMasq": false, "mtu": 1500,
     "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}
`

// syncPodNetwork gives this node its CNI configuration and a route to every other node's pods.
func syncPodNetwork(node, podNetwork string, nodes []*corev1.Node) {
	routes := map[string]string{}
	for _, each := range nodes {
		if each.Spec.PodCIDR == "" {
			continue
		}
		if each.Name == node {
			writeConflist(each.Spec.PodCIDR)
		} else if address := internalAddress(each); address != "" {
			routes[each.Spec.PodCIDR] = address
		}
	}
	syncRoutes(routes)
	masquerade := fmt.Sprintf("POSTROUTING -s %s ! -d %s -j MASQUERADE", podNetwork, podNetwork)
	ensure(fmt.Sprintf("iptables -w 5 -t nat -C %s 2>/dev/null || iptables -w 5 -t nat -A %s", masquerade, masquerade))
}

func ensure(command string) {
	if output, err := host("", command); err != nil {
		log.Printf("%s: %v %s", command, err, output)
	}
}

// writeConflist replaces the file in one move: containerd must never read half of it.
func writeConflist(podCIDR string) {
	path := filepath.Join(hostRoot, "etc/cni/net.d/10-labnet.conflist")
	wanted := fmt.Sprintf(conflist, podCIDR)
	if found, _ := os.ReadFile(path); string(found) == wanted {
		return
	}
	if err := os.WriteFile(path+".new", []byte(wanted), 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		log.Fatal(err)
	}
	log.Printf("CNI configuration written for %s", podCIDR)
}

func internalAddress(node *corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return ""
}

func syncRoutes(wanted map[string]string) {
	output, err := host("", "ip -4 route show proto", routeOwner)
	if err != nil {
		log.Printf("cannot read routes: %v %s", err, output)
		return
	}
	present := map[string]string{}
	for line := range strings.Lines(output) {
		if fields := strings.Fields(line); len(fields) >= 3 { // "10.244.1.0/24 via 172.18.0.3 ..."
			present[fields[0]] = fields[2]
		}
	}
	for podCIDR := range present {
		if wanted[podCIDR] == "" {
			ensure("ip route del " + podCIDR + " proto " + routeOwner)
		}
	}
	for podCIDR, address := range wanted {
		if present[podCIDR] != address {
			ensure("ip route replace " + podCIDR + " via " + address + " proto " + routeOwner)
			log.Printf("route to %s by %s", podCIDR, address)
		}
	}
}
