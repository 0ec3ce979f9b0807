"""What the models have and no migration brought, told after a migration."""

from cases import parent
from dbtasks import migrations
from worlds import World


def test_a_computed_column_is_none_that_is_missing(world: World) -> None:
    upper = 'sa.Column("upper", sa.String(20), sa.Computed("upper(name)", persisted=True))'
    world.models(parent(upper))
    world.make()
    with world.project() as project:
        assert migrations.unmigrated(project) == ()
    world.models(parent(f'{upper}, sa.Column("a", sa.Integer)'))
    with world.project() as project:
        assert migrations.unmigrated(project) == ("add column parent.a",)
