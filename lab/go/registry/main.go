// An image registry: upstream's (distribution/distribution) handlers on a folder, with a login.
//
//	registry serve -data DIR -users FILE [-listen 127.0.0.1:0 | -anywhere -listen :5000] [-auth basic|token|none]
//	               [-realm URL] [-redirect URL]
//	registry users NAME < password       a line of the file of users (htpasswd, bcrypt)
//
// The first line of its output is the address. With -auth token the registry's own token authentication is on, and
// tokens are given at /token for a login of the file of users; -realm names another place, -redirect sends who asks for
// a blob there, as object stores have it. With -redirect here this program serves them at /blobs/, without a login.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/redirect"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"
)

const service, issuer, keyName = "registry", "lab", "lab-1"

func main() {
	log.SetFlags(0)
	if len(os.Args) == 3 && os.Args[1] == "users" {
		line(os.Args[2])
		return
	}
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		log.Fatal("usage: registry serve -data DIR -users FILE | registry users NAME")
	}
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address; 127.0.0.1 only, without -anywhere")
	anywhere := flags.Bool("anywhere", false, "-listen may be any address: inside of a pod")
	data := flags.String("data", "", "folder of the images")
	users := flags.String("users", "", "file of users (htpasswd)")
	kind := flags.String("auth", "basic", "basic, token or none")
	realm := flags.String("realm", "", "where a token is to be had; empty: here, at /token")
	redirect := flags.String("redirect", "", "where blobs are to be had; \"here\": below /blobs; empty: they are served")
	must(flags.Parse(os.Args[2:]))
	if !*anywhere && !strings.HasPrefix(*listen, "127.0.0.1:") {
		log.Fatal("-listen must begin with 127.0.0.1:, or -anywhere be given")
	}
	if *data == "" || (*users == "" && *kind != "none") {
		log.Fatal("-data and -users must be given")
	}
	listener, err := net.Listen("tcp", *listen)
	must(err)
	address := listener.Addr().String()
	if *realm == "" {
		*realm = "http://" + address + "/token"
	}
	mux := http.NewServeMux()
	if *redirect == "here" {
		*redirect = "http://" + address + "/blobs"
		mux.Handle("/blobs/", http.StripPrefix("/blobs/", http.FileServer(http.Dir(*data))))
	}
	config := configured(*data, *redirect)
	switch *kind {
	case "basic":
		config.Auth = configuration.Auth{"htpasswd": {"realm": service, "path": *users}}
	case "token":
		key, keys := keyPair(*data)
		config.Auth = configuration.Auth{"token": {
			"realm": *realm, "service": service, "issuer": issuer, "rootcertbundle": "", "jwks": keys,
			"signingalgorithms": []any{string(jose.ES256)},
		}}
		mux.Handle("/token", tokens(*users, key))
	}
	mux.Handle("/", handlers.NewApp(context.Background(), config))
	fmt.Println(address)
	must(http.Serve(listener, mux))
}

func configured(data, redirect string) *configuration.Configuration {
	config := &configuration.Configuration{Version: configuration.CurrentVersion}
	config.Log.Level = "info"
	config.Log.AccessLog.Disabled = false
	config.HTTP.Secret = "one process only"
	config.Catalog.MaxEntries = 1000
	config.Storage = configuration.Storage{
		"filesystem": {"rootdirectory": data}, "delete": {"enabled": true}, "redirect": {"disable": redirect == ""},
	}
	if redirect != "" {
		config.Middleware = map[string][]configuration.Middleware{
			"storage": {{Name: "redirect", Options: configuration.Parameters{"baseurl": redirect}}},
		}
	}
	return config
}

// tokens answers as the specification of token authentication has it: an access to each scope that is asked for. What
// may be pulled may be pushed: one user has all.
func tokens(users string, key jose.SigningKey) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		name, password, _ := request.BasicAuth()
		if !known(users, name, password) {
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		access := []map[string]any{}
		for _, scope := range request.URL.Query()["scope"] {
			if parts := strings.Split(scope, ":"); len(parts) == 3 {
				access = append(access, map[string]any{
					"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ","),
				})
			}
		}
		now := time.Now()
		claims, err := json.Marshal(map[string]any{
			"iss": issuer, "sub": name, "aud": request.URL.Query().Get("service"), "access": access,
			"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"jti": fmt.Sprint(now.UnixNano()),
		})
		must(err)
		signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyName))
		must(err)
		signed, err := signer.Sign(claims)
		must(err)
		token, err := signed.CompactSerialize()
		must(err)
		answer.Header().Set("Content-Type", "application/json")
		must(json.NewEncoder(answer).Encode(map[string]any{"token": token, "expires_in": 300}))
	}
}

func known(users, name, password string) bool {
	content, err := os.ReadFile(users)
	must(err)
	for _, line := range strings.Split(string(content), "\n") {
		if user, hash, _ := strings.Cut(line, ":"); user == name && name != "" {
			return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
		}
	}
	return false
}

func keyPair(data string) (jose.SigningKey, string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	public := jose.JSONWebKey{Key: private.Public(), KeyID: keyName, Algorithm: string(jose.ES256), Use: "sig"}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	must(err)
	path := filepath.Join(data, "token-keys.json")
	must(os.WriteFile(path, text, 0o600))
	return jose.SigningKey{Algorithm: jose.ES256, Key: private}, path
}

func line(name string) {
	password, err := io.ReadAll(io.LimitReader(os.Stdin, 72))
	must(err)
	hash, err := bcrypt.GenerateFromPassword(password, bcrypt.MinCost)
	must(err)
	fmt.Printf("%s:%s\n", name, hash)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
