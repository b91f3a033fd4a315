-- The health of a TuningStudy for Argo CD, from its conditions. Goes into the ConfigMap argocd-cm as
-- resource.customizations.health.tuning.study_TuningStudy; argocd-cm.yaml beside this file is ready to be merged.

local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, each in ipairs(obj.status.conditions) do
      if each.type == type then
        return each
      end
    end
  end
  return nil
end

local function is_true(type)
  local found = condition(type)
  return found ~= nil and found.status == "True"
end

local function message_of(type)
  local found = condition(type)
  if found == nil then
    return ""
  end
  if found.message ~= nil and found.message ~= "" then
    return found.message
  end
  return found.reason or ""
end

-- What the status says is about an older spec, or nothing has been said yet.
if obj.status == nil or obj.status.observedGeneration == nil then
  return {status = "Progressing", message = "Waiting for the tuning operator"}
end
if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the tuning operator to see the new spec"}
end

if is_true("Failed") then
  return {status = "Degraded", message = message_of("Failed")}
end
if is_true("Stalled") then
  return {status = "Degraded", message = message_of("Stalled")}
end
if is_true("Succeeded") then
  return {status = "Healthy", message = message_of("Succeeded")}
end
if is_true("Suspended") then
  return {status = "Suspended", message = message_of("Suspended")}
end
return {status = "Progressing", message = message_of("Reconciling")}
