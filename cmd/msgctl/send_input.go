package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// inputs returns the requests as they were given.
func (f *sendFlags) inputs(cmd *cobra.Command) ([]ops.Input, string, error) {
	if f.file != "" {
		return fileInputs(cmd, f.file)
	}
	if f.bodyFile != "" {
		in, name, err := open(cmd, f.bodyFile)
		if err != nil {
			return nil, "", err
		}
		defer in.Close()
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", name, err)
		}
		f.Body.Content = string(content)
	}
	switch {
	case f.html:
		f.Body.Type = models.BodyHTML
	case f.template != "":
		f.Body.Type, f.Body.Content = models.BodyTemplate, f.template
	case f.Body.MediaType != "":
		f.Body.Type = models.BodyMedia
	}
	value, err := f.Encode()
	return []ops.Input{{Line: 1, Value: value}}, "", err
}

func fileInputs(cmd *cobra.Command, file string) ([]ops.Input, string, error) {
	in, name, err := open(cmd, file)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	var list []ops.Input
	for input, err := range ops.Inputs(in) {
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, input)
	}
	if len(list) == 0 {
		return nil, "", ops.NoRequestError(name)
	}
	return list, name, nil
}

// prepare fills the requests in and checks all of them. Where one is not valid
// it prints the violations, and its error says that nothing was sent.
func (f *sendFlags) prepare(cmd *cobra.Command, s *session, c *config.Config) ([]ops.Outgoing, error) {
	inputs, name, err := f.inputs(cmd)
	if err != nil {
		return nil, err
	}
	out, violations := ops.Prepare(c, name, inputs)
	if len(violations) == 0 {
		return out, nil
	}
	if s.output == "json" {
		if err := s.print(cmd, map[string][]ops.Violation{"violations": violations}, nil); err != nil {
			return nil, err
		}
	} else {
		for _, v := range violations {
			fmt.Fprintln(cmd.ErrOrStderr(), v)
		}
	}
	return nil, errors.New("not valid: nothing was sent")
}
