package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(name, namespace, app, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: types.UID(name), Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{NodeName: "one", Containers: []corev1.Container{
			{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}},
		}},
		Status: corev1.PodStatus{PodIP: address},
	}
}

func ingressPolicy(rules ...networkingv1.NetworkPolicyIngressRule) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "policy", Namespace: "shop"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     rules,
		},
	}
}

func cluster(policies ...*networkingv1.NetworkPolicy) state {
	return state{
		pods: []*corev1.Pod{
			pod("web", "shop", "web", "10.244.1.2"), pod("client", "shop", "client", "10.244.1.3"),
			pod("stranger", "other", "client", "10.244.1.4"),
		},
		namespaces: map[string]labels.Set{"shop": {"name": "shop"}, "other": {"name": "other"}},
		policies:   policies,
	}
}

func TestAPodWithoutPolicyHasNoChain(t *testing.T) {
	if rules := cluster().rules("one"); strings.Contains(rules, "LAB-I-") || strings.Contains(rules, "LAB-E-") {
		t.Fatal(rules)
	}
}

func TestDenyAllDropsOnlyTheSelectedPod(t *testing.T) {
	rules := cluster(ingressPolicy()).rules("one")
	if !strings.Contains(rules, "-d 10.244.1.2/32 -j LAB-I-") || strings.Count(rules, "-j DROP") != 1 {
		t.Fatal(rules)
	}
}

func TestAPeerOfAnotherNamespaceIsNotLetIn(t *testing.T) {
	named := intstr.FromString("http")
	rules := cluster(ingressPolicy(networkingv1.NetworkPolicyIngressRule{
		From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "client"}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: &named}},
	})).rules("one")
	if !strings.Contains(rules, "-s 10.244.1.3/32 -p tcp --dport 80 -j RETURN") || strings.Contains(rules, "10.244.1.4") {
		t.Fatal(rules)
	}
}

func TestAPodOfAnotherNodeIsThatNodesConcern(t *testing.T) {
	if rules := cluster(ingressPolicy()).rules("two"); strings.Contains(rules, "DROP") {
		t.Fatal(rules)
	}
}
