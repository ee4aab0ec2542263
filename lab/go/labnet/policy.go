package main

import (
	"fmt"
	"hash/fnv"
	"log"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// state is one consistent view of the cluster, turned into rules by pure functions.
type state struct {
	nodes      []*corev1.Node
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
	policies   []*networkingv1.NetworkPolicy
}

// direction says which end of a connection is the pod's own and which is the peer's.
type direction struct {
	kind      networkingv1.PolicyType
	prefix    string
	own, peer string
}

var directions = []direction{
	{networkingv1.PolicyTypeIngress, "LAB-I-", "-d", "-s"},
	{networkingv1.PolicyTypeEgress, "LAB-E-", "-s", "-d"},
}

// rules is the iptables-restore text for the pods of one node. A pod that no policy selects has no chain. RETURN, not
// ACCEPT: the other direction's chain, and Kubernetes' own, still have their say.
func (s state) rules(node string) string {
	chains := []string{"LAB-POLICY"}
	jumps := []string{"-A LAB-POLICY -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"}
	var bodies []string
	for _, pod := range s.pods {
		if pod.Spec.NodeName != node || !hasAddress(pod) {
			continue
		}
		for _, way := range directions {
			allowed, isolated := s.allowed(pod, way)
			if !isolated {
				continue
			}
			chain := way.prefix + shortHash(string(pod.UID))
			chains = append(chains, chain)
			jumps = append(jumps, fmt.Sprintf("-A LAB-POLICY %s %s/32 -j %s", way.own, pod.Status.PodIP, chain))
			for _, match := range allowed {
				bodies = append(bodies, strings.Join(strings.Fields("-A "+chain+" "+match+" -j RETURN"), " "))
			}
			bodies = append(bodies, "-A "+chain+" -j DROP")
		}
	}
	var text strings.Builder
	text.WriteString("*filter\n")
	for _, chain := range chains {
		text.WriteString(":" + chain + " - [0:0]\n")
	}
	text.WriteString(strings.Join(append(jumps, bodies...), "\n") + "\nCOMMIT\n")
	return text.String()
}

// allowed gives the matches that may pass to (or from) the pod, and whether any policy isolates it in this direction.
func (s state) allowed(pod *corev1.Pod, way direction) (matches []string, isolated bool) {
	for _, policy := range s.policies {
		if policy.Namespace != pod.Namespace || !selects(&policy.Spec.PodSelector, pod.Labels) ||
			!slices.Contains(policy.Spec.PolicyTypes, way.kind) {
			continue
		}
		isolated = true
		if way.kind == networkingv1.PolicyTypeIngress {
			for _, rule := range policy.Spec.Ingress {
				matches = append(matches, product(s.peers(policy.Namespace, way.peer, rule.From), ports(pod, rule.Ports))...)
			}
			continue
		}
		for _, rule := range policy.Spec.Egress {
			matches = append(matches, product(s.peers(policy.Namespace, way.peer, rule.To), ports(nil, rule.Ports))...)
		}
	}
	return matches, isolated
}

func product(peers, ports []string) (matches []string) {
	for _, peer := range peers {
		for _, port := range ports {
			matches = append(matches, peer+" "+port)
		}
	}
	return matches
}

// peers gives a match for each peer of one rule; no peers at all means everybody.
func (s state) peers(namespace, flag string, wanted []networkingv1.NetworkPolicyPeer) []string {
	if len(wanted) == 0 {
		return []string{""}
	}
	var matches []string
	for _, peer := range wanted {
		if peer.IPBlock != nil {
			// IPv6 and exceptions are not supported: such a peer matches nothing, which is the safe side.
			if !strings.Contains(peer.IPBlock.CIDR, ":") && len(peer.IPBlock.Except) == 0 {
				matches = append(matches, flag+" "+peer.IPBlock.CIDR)
			}
			continue
		}
		for _, pod := range s.pods {
			if hasAddress(pod) && s.isPeer(pod, namespace, peer) {
				matches = append(matches, flag+" "+pod.Status.PodIP+"/32")
			}
		}
	}
	return matches
}

func (s state) isPeer(pod *corev1.Pod, namespace string, peer networkingv1.NetworkPolicyPeer) bool {
	if peer.NamespaceSelector == nil && pod.Namespace != namespace {
		return false
	}
	if peer.NamespaceSelector != nil && !selects(peer.NamespaceSelector, s.namespaces[pod.Namespace]) {
		return false
	}
	return peer.PodSelector == nil || selects(peer.PodSelector, pod.Labels)
}

// ports gives a match for each port of one rule; a named port is looked up in the pod that offers it (egress cannot).
func ports(offering *corev1.Pod, wanted []networkingv1.NetworkPolicyPort) []string {
	if len(wanted) == 0 {
		return []string{""}
	}
	var matches []string
	for _, port := range wanted {
		match := "-p tcp"
		if port.Protocol != nil {
			match = "-p " + strings.ToLower(string(*port.Protocol))
		}
		if port.Port != nil {
			number := port.Port.IntValue()
			if number == 0 {
				number = namedPort(offering, port.Port.StrVal)
			}
			if number == 0 {
				continue
			}
			match += fmt.Sprintf(" --dport %d", number)
			if port.EndPort != nil {
				match += fmt.Sprintf(":%d", *port.EndPort)
			}
		}
		matches = append(matches, match)
	}
	return matches
}

func namedPort(pod *corev1.Pod, name string) int {
	if pod == nil {
		return 0
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(set))
}

func hasAddress(pod *corev1.Pod) bool {
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !ended
}

func shortHash(text string) string {
	hash := fnv.New32a()
	hash.Write([]byte(text))
	return fmt.Sprintf("%08x", hash.Sum32())
}

var podChain = regexp.MustCompile(`(?m)^:(LAB-[IE]-[0-9a-f]+) `)

// enforce loads the rules where they differ from those in force, and removes chains of pods that are gone.
func enforce(rules, inForce string) string {
	ensure("iptables -w 5 -N LAB-POLICY 2>/dev/null; iptables -w 5 -C FORWARD -j LAB-POLICY 2>/dev/null || iptables -w 5 -I FORWARD 1 -j LAB-POLICY")
	if rules == inForce {
		return inForce
	}
	if output, err := host(rules, "iptables-restore -w 5 --noflush"); err != nil {
		log.Printf("iptables-restore: %v %s\n%s", err, output, rules)
		return inForce
	}
	saved, _ := host("", "iptables-save -t filter")
	for _, match := range podChain.FindAllStringSubmatch(saved, -1) {
		if !strings.Contains(rules, ":"+match[1]+" ") {
			ensure("iptables -w 5 -F " + match[1] + " && iptables -w 5 -X " + match[1])
		}
	}
	log.Printf("policy: %d rules", strings.Count(rules, "\n-A "))
	return rules
}
