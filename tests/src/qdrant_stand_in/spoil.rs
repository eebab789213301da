//! Defects of a collection right after a restore.

use super::collection::Collection;
use super::effect::Effect;

pub(crate) fn spoil(collection: &mut Collection, effects: &[Effect]) {
    for effect in effects {
        match effect {
            Effect::RestoredLacksPoints(points) => {
                collection.set_points_count(collection.points_count().saturating_sub(*points));
            }
            Effect::ReplicasDeadForPolls(polls) => collection.dead_polls_left = *polls,
            Effect::UpdatesQueuedForPolls(polls) => collection.queued_polls_left = *polls,
            Effect::RestoredVectorDiffers(index) => {
                collection.points.change_vector(*index, &collection.config);
            }
            _ => {}
        }
    }
}
