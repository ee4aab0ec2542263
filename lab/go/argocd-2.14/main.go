// Argo CD's two workers in one binary: the name of the file decides which one runs. The web server is left out on purpose:
// the lab drives Argo CD through its Application objects only.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	controller "github.com/argoproj/argo-cd/v2/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v2/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	commands := map[string]func() *cobra.Command{
		"argocd-application-controller": controller.NewCommand,
		"argocd-repo-server":            reposerver.NewCommand,
	}
	name := filepath.Base(os.Args[0])
	create, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "argocd: no command is named %q\n", name)
		os.Exit(2)
	}
	if err := create().Execute(); err != nil {
		os.Exit(1)
	}
}
