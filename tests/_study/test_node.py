"""What is shared: prefixes that two or more recipes have in common, and never what one needs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress._study._cell import Cell
from tfcompress._study._node import Node, needed_nodes, shared_prefixes, start_of, tree, waves
from tfcompress.core import Recipe
from tfcompress.recipes import recipe
from tfcompress.targets import Float32
from tfcompress.techniques import Cluster, FineTune, Prune

NAMES = [
    "float32",
    "prune50-int8",
    "prune50-cluster8-int8",
    "prune50-cluster8-qat-int8",
    "prune80-int8",
    "cluster8-int8",
    "int8",
]


def words(prefixes):
    return ["-".join(technique.label for technique in prefix) for prefix in prefixes]


def test_prefixes_are_what_two_recipes_have_in_common():
    assert words(shared_prefixes([recipe(name) for name in NAMES])) == [
        "prune50",
        "prune50-cluster8",
    ]
    # Where the same recipes go on together, only the longer run is worth a model.
    assert words(
        shared_prefixes([recipe("prune50-cluster8-int8"), recipe("prune50-cluster8-float16")])
    ) == ["prune50-cluster8"]
    assert shared_prefixes([recipe("int8"), recipe("prune50-int8")]) == []


techniques = st.sampled_from([Prune(0.5), Prune(0.8), Cluster(8), FineTune()])
lists = st.lists(
    st.lists(techniques, max_size=3).map(
        lambda found: tuple(sorted(found, key=lambda one: one.stage))
    ),
    min_size=1,
    max_size=7,
)


@settings(deadline=None)  # the first example reads which packages are installed
@given(lists)
def test_every_recipe_starts_from_its_longest_shared_prefix(members):
    recipes = [Recipe(found, Float32()) for found in members]
    nodes = tree(Node("root", 0), shared_prefixes(recipes), "key")
    assert len({node.key for node in nodes}) == len(nodes)
    for found in members:
        for length in range(len(found), 0, -1):
            users = [other for other in members if other[:length] == found[:length]]
            if len(users) > 1:
                longer = {other[: length + 1] for other in users}
                whole = not (len(longer) == 1 and len(users[0]) > length)
                if whole:
                    assert start_of(found, nodes).techniques == found[:length]
                    break
    for node in nodes[1:]:
        assert node.parent is not None
        assert (
            node.techniques[: len(node.parent.techniques)] == node.parent.techniques
            and node.parent in nodes
        )


@settings(deadline=None)
@given(lists, st.sets(st.integers(0, 9)))
def test_rounds_have_everything_they_need(members, there):
    recipes = [Recipe(found, Float32()) for found in members]
    nodes = tree(Node("root", 0), shared_prefixes(recipes), "key")
    kept = {node.key for number, node in enumerate(nodes) if number in there}
    cells = [
        Cell(one, 0, start_of(one.techniques, nodes), str(number))
        for number, one in enumerate(recipes)
    ]
    needed = needed_nodes(nodes, [cell.start for cell in cells], lambda node: node.key in kept)
    assert all(node.key not in kept for node in needed)
    made = set(kept)
    for wave in waves(needed, cells):
        for job in wave:
            before = job.parent if isinstance(job, Node) else job.start
            while before is not None and before.parent is not None and before.key not in made:
                assert before not in needed, "what is needed is made in an earlier round"
                before = before.parent
            assert before is None or before.key in made
        made |= {job.key for job in wave if isinstance(job, Node)}


def test_what_one_cell_alone_needs_is_not_made_for_it():
    recipes = [recipe(name) for name in NAMES]
    nodes = tree(Node("root", 0), shared_prefixes(recipes), "key")
    starts = {one.name: start_of(one.techniques, nodes) for one in recipes}
    assert words([starts[name].techniques for name in NAMES[1:4]]) == [
        "prune50",
        "prune50-cluster8",
        "prune50-cluster8",
    ]
    found = needed_nodes(nodes, [starts["prune50-int8"]], lambda node: node is nodes[0])
    assert found == []
    found = needed_nodes(
        nodes,
        [starts["prune50-cluster8-int8"], starts["prune50-int8"]],
        lambda node: node is nodes[0],
    )
    assert words([node.techniques for node in found]) == ["prune50"]
