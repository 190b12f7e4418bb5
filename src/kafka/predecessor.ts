import type { Cluster, GroupCoordinator } from './internals.ts'

/**
 * Sends members away that bear this process's name: it has just started, so they are what a crash left behind, and the
 * group would wait for them until their session has timed out. Returns how many there were. A live process under the
 * same name is thrown out, too; it joins again and goes on (names should be unique).
 */
export async function dismissPredecessors(
  cluster: Cluster,
  groupId: string,
  clientId: string,
): Promise<number> {
  const coordinator = (await cluster.findGroupCoordinator({ groupId })) as GroupCoordinator
  const { groups } = await coordinator.describeGroups({ groupIds: [groupId] })
  const members = groups.flatMap((group) => group.members)
  const predecessors = members.filter((member) => member.clientId === clientId)
  for (const { memberId } of predecessors) await coordinator.leaveGroup({ groupId, memberId })
  return predecessors.length
}
