// labnet is the lab's pod network on one node: the CNI configuration from the node's podCIDR, routes to the other nodes' pods,
// masquerading for traffic that leaves the pod network, and networking.k8s.io/v1 NetworkPolicy by the node's own iptables.
// Network policies are part of what rollproof proves, so a network that ignores them would be worthless here. IPv4 only.
package main

import (
	"context"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	gather = 50 * time.Millisecond // events come in bursts: one pass for a burst
	again  = 10 * time.Second      // rules that somebody else removed come back within this time
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	node, podNetwork := os.Getenv("NODE_NAME"), os.Getenv("POD_NETWORK")
	if node == "" || podNetwork == "" {
		log.Fatal("labnet: NODE_NAME and POD_NETWORK must be set")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	if address := os.Getenv("API_SERVER"); address != "" { // kube-proxy may not be there yet: no Service address then
		config.Host = address
	}
	watched, changed := watch(kubernetes.NewForConfigOrDie(config))
	var enforced string
	for {
		seen := watched.snapshot()
		syncPodNetwork(node, podNetwork, seen.nodes)
		enforced = enforce(seen.rules(node), enforced)
		select {
		case <-changed:
			time.Sleep(gather)
		case <-time.After(again):
		}
	}
}

// listers hold what the API server last said.
type listers struct {
	factory informers.SharedInformerFactory
}

// watch follows nodes, pods, namespaces and policies; the channel holds at most one "something changed".
func watch(client kubernetes.Interface) (*listers, <-chan struct{}) {
	factory := informers.NewSharedInformerFactory(client, 0)
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke() },
		UpdateFunc: func(_, _ any) { poke() },
		DeleteFunc: func(any) { poke() },
	}
	core := factory.Core().V1()
	for _, informer := range []cache.SharedIndexInformer{
		core.Nodes().Informer(), core.Pods().Informer(), core.Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			log.Fatal(err)
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return &listers{factory: factory}, changed
}

// snapshot is sorted, so that equal states give equal rules.
func (l *listers) snapshot() state {
	core := l.factory.Core().V1()
	nodes, _ := core.Nodes().Lister().List(labels.Everything())
	pods, _ := core.Pods().Lister().List(labels.Everything())
	namespaces, _ := core.Namespaces().Lister().List(labels.Everything())
	policies, _ := l.factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	seen := state{nodes: nodes, pods: pods, policies: policies, namespaces: map[string]labels.Set{}}
	for _, namespace := range namespaces {
		seen.namespaces[namespace.Name] = namespace.Labels
	}
	slices.SortFunc(seen.pods, func(a, b *corev1.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	slices.SortFunc(seen.policies, func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(string(a.UID), string(b.UID))
	})
	return seen
}
