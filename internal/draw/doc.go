// Package draw makes pictures of definitions: SVG without any other program, and
// text of which Mermaid and Graphviz make theirs (text.go).
//
// A drawing is made from the inside out. The children of a state are put into
// layers, so that most arrows point down, and ordered within the layers, so that
// few cross (layer.go); the box around them is one node of the level above
// (layout.go). Arrows are curves between the boxes, with a label where it is free
// (route.go). Everything is a function of the definition: the same definition
// gives the same bytes. The package knows no expressions and runs nothing.
package draw
